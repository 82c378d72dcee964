// Package netfilter cuts links between hosts that a Linux bridge joins, by dropping packets with nftables.
//
// The one idea behind it is that the packets are dropped where they cross the bridge, in this machine's own namespace. So a
// cut needs nothing inside the hosts and outlives their restarts, each cut is a table of its own that comes and goes as a
// whole and knows nothing of the others, and this machine's traffic with the hosts, which does not cross the bridge from port to port,
// is never touched. The tables have an owner: the kernel removes them when the program that made them ends,
// however it ends. It needs root (CAP_NET_ADMIN) and Linux 5.12.
package netfilter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Link is one direction between two hosts: the packets from From to To. Both are IPv4.
type Link struct {
	From, To netip.Addr
}

// linkSet is the name of the set of links in each table.
const linkSet = "links"

// Cut is a set of links that are cut, and the table that cuts them.
type Cut struct {
	table *nftables.Table
	conn  *nftables.Conn // the table's owner
}

// NewCut cuts links, all at the same moment. The name is the table's; it must be new.
func NewCut(name string, links []Link) (*Cut, error) {
	elements, err := encode(links)
	if err != nil {
		return nil, fmt.Errorf("cut links: %w", err)
	}
	t := table(name)
	conn, err := NewOwned(t)
	if err != nil {
		return nil, fmt.Errorf("cut links: %w", err)
	}
	c := &Cut{table: t, conn: conn}
	if err := c.fill(elements); err != nil {
		return nil, errors.Join(fmt.Errorf("cut links: fill table %s: %w", name, err), c.Close())
	}
	return c, nil
}

func table(name string) *nftables.Table {
	return &nftables.Table{Name: name, Family: nftables.TableFamilyBridge}
}

// fill puts the set of links and the rule that drops what is in it into the table, in one transaction:
//
//	set links { type ipv4_addr . ipv4_addr; counter; }
//	chain forward { type filter hook forward priority filter; ether type ip ip saddr . ip daddr @links drop; }
func (c *Cut) fill(links []nftables.SetElement) error {
	const (
		first, second  = unix.NFT_REG32_00, unix.NFT_REG32_01 // registers of 4 bytes, which lie side by side
		saddr, daddr   = 12, 16                               // where the addresses are in an IPv4 header
		filterPriority = -200                                 // NF_BR_PRI_FILTER_BRIDGED
		ip4            = unix.ETH_P_IP
	)
	set := &nftables.Set{
		Table: c.table, Name: linkSet,
		ID:            1, // unique in the transaction; google/nftables would draw it from a counter that it does not lock
		KeyType:       nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeIPAddr),
		Concatenation: true,
		Counter:       true,
	}
	if err := c.conn.AddSet(set, links); err != nil {
		return err
	}
	policy := nftables.ChainPolicyAccept
	chain := c.conn.AddChain(&nftables.Chain{
		Table: c.table, Name: "forward",
		Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward,
		Priority: nftables.ChainPriorityRef(filterPriority), Policy: &policy,
	})
	c.conn.AddRule(&nftables.Rule{Table: c.table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: first},
		&expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: binary.BigEndian.AppendUint16(nil, ip4)},
		&expr.Payload{DestRegister: first, Base: expr.PayloadBaseNetworkHeader, Offset: saddr, Len: 4},
		&expr.Payload{DestRegister: second, Base: expr.PayloadBaseNetworkHeader, Offset: daddr, Len: 4},
		&expr.Lookup{SourceRegister: first, SetName: set.Name, SetID: set.ID},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
	return c.conn.Flush()
}

// Dropped says how many packets of each link have been dropped since the cut was made.
func (c *Cut) Dropped() (map[Link]uint64, error) {
	dropped, err := readLinks(c.conn, c.table)
	if err != nil {
		return nil, fmt.Errorf("count dropped packets: %w", err)
	}
	return dropped, nil
}

// Close lets the links go, all at the same moment.
func (c *Cut) Close() error {
	c.conn.DelTable(c.table)
	err := errors.Join(c.conn.Flush(), c.conn.CloseLasting())
	if err != nil {
		return fmt.Errorf("remove table %s: %w", c.table.Name, err)
	}
	return nil
}

// Links lists the links that are cut now by all tables whose names begin with the prefix. It asks the kernel.
func Links(prefix string) (map[Link]bool, error) {
	names, err := Tables(prefix)
	if err != nil {
		return nil, err
	}
	var conn nftables.Conn
	all := make(map[Link]bool)
	for _, name := range names {
		links, err := readLinks(&conn, table(name))
		if err != nil {
			if still, listed := Tables(name); listed == nil && len(still) == 0 {
				continue // it was removed meanwhile
			}
			return nil, fmt.Errorf("list cut links: %w", err)
		}
		for link := range links {
			all[link] = true
		}
	}
	return all, nil
}

// Tables lists the names of all tables of cuts that begin with the prefix.
func Tables(prefix string) ([]string, error) {
	var conn nftables.Conn
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyBridge)
	if err != nil {
		return nil, fmt.Errorf("list nftables tables: %w", err)
	}
	var names []string
	for _, t := range tables {
		if strings.HasPrefix(t.Name, prefix) {
			names = append(names, t.Name)
		}
	}
	return names, nil
}

// Remove removes a table that a program which has ended may have left. It does nothing if there is none.
func Remove(name string) error {
	var conn nftables.Conn
	conn.DelTable(table(name))
	if err := conn.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove table %s: %w", name, err)
	}
	return nil
}

func encode(links []Link) ([]nftables.SetElement, error) {
	var elements []nftables.SetElement
	for _, l := range links {
		if !l.From.Is4() || !l.To.Is4() {
			return nil, fmt.Errorf("link %s to %s: only IPv4 can be cut", l.From, l.To)
		}
		elements = append(elements, nftables.SetElement{Key: append(l.From.AsSlice(), l.To.AsSlice()...)})
	}
	return elements, nil
}

// readLinks reads a table's links, each with the number of its packets that were dropped.
func readLinks(conn *nftables.Conn, t *nftables.Table) (map[Link]uint64, error) {
	elements, err := conn.GetSetElements(&nftables.Set{Table: t, Name: linkSet})
	if err != nil {
		return nil, err
	}
	links := make(map[Link]uint64)
	for _, e := range elements {
		if len(e.Key) != 2*net.IPv4len {
			return nil, fmt.Errorf("table %s: %x is no link", t.Name, e.Key)
		}
		link := Link{netip.AddrFrom4([4]byte(e.Key[:4])), netip.AddrFrom4([4]byte(e.Key[4:]))}
		links[link] = 0
		if e.Counter != nil {
			links[link] = e.Counter.Packets
		}
	}
	return links, nil
}
