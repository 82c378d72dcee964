package netfilter

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// NewOwned makes an empty table that belongs to the connection which it returns: the kernel removes the table when that closes, or
// this program ends. The name must be new. With nftables.WithNetNSFd the table is in another network namespace.
func NewOwned(t *nftables.Table, options ...nftables.ConnOption) (*nftables.Conn, error) {
	var socket *netlink.Conn
	conn, err := nftables.New(append(options, nftables.AsLasting(), nftables.WithSockOptions(func(c *netlink.Conn) error {
		socket = c
		return nil
	}))...)
	if err != nil {
		return nil, fmt.Errorf("talk to nftables: %w", err)
	}
	if err := createOwned(socket, t); err != nil {
		return nil, errors.Join(fmt.Errorf("make table %s: %w", t.Name, err), conn.CloseLasting())
	}
	return conn, nil
}

// createOwned is written out by hand because google/nftables v0.3.0 sends no flags with a new table.
func createOwned(socket *netlink.Conn, t *nftables.Table) error {
	const owner = 2 // NFT_TABLE_F_OWNER
	attributes, err := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: unix.NFTA_TABLE_NAME, Data: append([]byte(t.Name), 0)},
		{Type: unix.NFTA_TABLE_FLAGS, Data: binary.BigEndian.AppendUint32(nil, owner)},
	})
	if err != nil {
		return err
	}
	message := func(kind netlink.HeaderType, flags netlink.HeaderFlags, family byte, resource uint16, data []byte) netlink.Message {
		header := binary.BigEndian.AppendUint16([]byte{family, unix.NFNETLINK_V0}, resource)
		return netlink.Message{Header: netlink.Header{Type: kind, Flags: netlink.Request | flags}, Data: append(header, data...)}
	}
	const newTable = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWTABLE
	_, err = socket.SendMessages([]netlink.Message{
		message(unix.NFNL_MSG_BATCH_BEGIN, 0, 0, unix.NFNL_SUBSYS_NFTABLES, nil),
		message(newTable, netlink.Acknowledge|netlink.Create|netlink.Excl, byte(t.Family), 0, attributes),
		message(unix.NFNL_MSG_BATCH_END, 0, 0, unix.NFNL_SUBSYS_NFTABLES, nil),
	})
	if err == nil {
		_, err = socket.Receive()
	}
	return err
}
