package packets

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Messages and attributes of the queue, from linux/netfilter/nfnetlink_queue.h.
const (
	messageVerdict = unix.NFNL_SUBSYS_QUEUE<<8 | 1
	messageConfig  = unix.NFNL_SUBSYS_QUEUE<<8 | 2

	configCommand, configParameters, configLength, configMask, configFlags = 1, 2, 3, 4, 5
	attributePacket, attributeVerdict, attributePayload                    = 1, 2, 10

	drop, accept = 0, 1 // verdicts
)

// ask is the rule's action that puts a packet into a queue, and lets it pass if nobody listens. nftables has one of its own, which few
// kernels are built without; the target of iptables is everywhere where there is a queue at all.
func ask(queue uint16) expr.Any {
	const bypass = 1 // NFQ_FLAG_BYPASS
	var info xt.Unknown
	for _, field := range []uint16{queue, 1, bypass, 0} { // struct xt_NFQ_info_v3: number, how many, flags; aligned to 8 bytes
		info = binary.NativeEndian.AppendUint16(info, field)
	}
	return &expr.Target{Name: "NFQUEUE", Rev: 3, Info: &info}
}

// request is a message about a queue.
func request(kind netlink.HeaderType, queue uint16, attributes ...netlink.Attribute) (netlink.Message, error) {
	data, err := netlink.MarshalAttributes(attributes)
	if err != nil {
		return netlink.Message{}, err
	}
	header := binary.BigEndian.AppendUint16([]byte{unix.AF_UNSPEC, unix.NFNETLINK_V0}, queue)
	return netlink.Message{Header: netlink.Header{Type: kind, Flags: netlink.Request}, Data: append(header, data...)}, nil
}

// verdict is the message that decides on a packet; a payload that is not nil takes the place of the packet's own.
func verdict(queue uint16, id, what uint32, payload []byte) (netlink.Message, error) {
	decided := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, what), id)
	attributes := []netlink.Attribute{{Type: attributeVerdict, Data: decided}}
	if payload != nil {
		attributes = append(attributes, netlink.Attribute{Type: attributePayload, Data: payload})
	}
	return request(messageVerdict, queue, attributes...)
}

// parse reads a message that asks about a packet: the packet's number, and as many bytes of it as the queue was told to copy.
func parse(data []byte) (id uint32, payload []byte, err error) {
	const general = 4 // the length of struct nfgenmsg
	if len(data) < general {
		return 0, nil, fmt.Errorf("message of %d bytes from the queue, at least %d wanted", len(data), general)
	}
	attributes, err := netlink.NewAttributeDecoder(data[general:])
	if err != nil {
		return 0, nil, fmt.Errorf("message from the queue: %w", err)
	}
	numbered := false
	for attributes.Next() {
		switch attributes.Type() {
		case attributePacket:
			if b := attributes.Bytes(); len(b) >= 4 {
				id, numbered = binary.BigEndian.Uint32(b), true
			}
		case attributePayload:
			payload = attributes.Bytes()
		}
	}
	if err := attributes.Err(); err != nil {
		return 0, nil, fmt.Errorf("message from the queue: %w", err)
	}
	if !numbered {
		return 0, nil, errors.New("message from the queue: the packet has no number")
	}
	return id, payload, nil
}
