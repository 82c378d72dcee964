// Package packets disturbs the packets that a host receives: it loses, delays, reorders, repeats and corrupts them, or holds
// them to a rate, from outside, on programs that know nothing of it.
//
// The one idea behind it is that the kernel asks this program what is to become of each packet (NFQUEUE), and is answered late, or with
// another packet. So one mechanism carries every disturbance, each of which is a function from an arriving packet to its fate. The rule that asks
// stands in the receiver's own network namespace, ahead of all that the host does with a packet, in a table with an owner: if this
// program dies, table and queue go with it, and packets flow again. Loss alone needs no answer, and stays in the kernel.
//
// It needs root (CAP_NET_ADMIN over the namespace), nftables, and the kernel's xt_NFQUEUE and NFT_COMPAT. netem, which would
// do much of this, is missing from many kernels. Packets are IPv4.
package packets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"rift/nemesis/netfilter"
)

// Site is where packets are disturbed, and whose.
type Site struct {
	NetNS   string       // path of the receiver's network namespace
	Table   string       // name of the table to be made there; it must be new
	Queue   uint16       // number of the queue to be made there, for effects; it must be new
	Senders []netip.Addr // whose packets; IPv4, each once
}

// Filter disturbs packets until it is closed.
type Filter struct {
	table *nftables.Table
	chain *nftables.Chain
	conn  *nftables.Conn // the table's owner
	queue *queue         // nil where the kernel alone is enough
}

// chance is the number of parts that a share is rounded to.
const chance = 1_000_000

// Lose drops a share of the packets, between 0 and 1, each by itself.
func Lose(s Site, share float64) (*Filter, error) {
	const drawn = unix.NFT_REG32_00
	f, err := open(s,
		&expr.Numgen{Register: drawn, Modulus: chance, Type: unix.NFT_NG_RANDOM},
		&expr.Byteorder{SourceRegister: drawn, DestRegister: drawn, Op: expr.ByteorderHton, Len: 4, Size: 4},
		&expr.Cmp{Op: expr.CmpOpLt, Register: drawn, Data: binary.BigEndian.AppendUint32(nil, uint32(share*chance))},
		&expr.Counter{},
		&expr.Verdict{Kind: expr.VerdictDrop},
	)
	if err != nil {
		return nil, fmt.Errorf("lose packets: %w", err)
	}
	return f, nil
}

// Disturb has an effect decide on each packet. What goes wrong with the queue later lets packets pass as they are.
func Disturb(s Site, e Effect) (*Filter, error) {
	q, err := listen(s.NetNS, s.Queue, e)
	if err != nil {
		return nil, fmt.Errorf("disturb packets: %w", err)
	}
	f, err := open(s, &expr.Counter{}, ask(s.Queue))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("disturb packets: %w", err), q.close())
	}
	f.queue = q
	return f, nil
}

// open makes the table, in two transactions, with one rule for what the senders send:
//
//	set senders { type ipv4_addr; }
//	chain receive { type filter hook prerouting priority -310; iif != lo ip saddr @senders ACTION; }
//
// What comes over the loopback device is the host's own, or a copy that the queue has made.
func open(s Site, action ...expr.Any) (*Filter, error) {
	const (
		register = unix.NFT_REG32_00
		saddr    = 12   // where the source is in an IPv4 header
		loopback = 1    // index of lo in every network namespace
		early    = -310 // ahead of connection tracking and of what is raw
	)
	var elements []nftables.SetElement
	for _, from := range s.Senders {
		if !from.Is4() {
			return nil, fmt.Errorf("sender %s: only IPv4 can be disturbed", from)
		}
		elements = append(elements, nftables.SetElement{Key: from.AsSlice()})
	}
	there, err := os.Open(s.NetNS)
	if err != nil {
		return nil, fmt.Errorf("find the receiver's network namespace: %w", err)
	}
	defer there.Close()
	f := &Filter{table: &nftables.Table{Name: s.Table, Family: nftables.TableFamilyIPv4}}
	if f.conn, err = netfilter.NewOwned(f.table, nftables.WithNetNSFd(int(there.Fd()))); err != nil {
		return nil, err
	}
	// The ID is unique in the transaction; google/nftables would draw it from a counter that it does not lock.
	set := &nftables.Set{Table: f.table, Name: "senders", ID: 1, KeyType: nftables.TypeIPAddr}
	if err := f.conn.AddSet(set, elements); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	f.chain = f.conn.AddChain(&nftables.Chain{
		Table: f.table, Name: "receive",
		Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRef(early),
	})
	f.conn.AddRule(&nftables.Rule{Table: f.table, Chain: f.chain, Exprs: append([]expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIF, Register: register},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register, Data: binary.NativeEndian.AppendUint32(nil, loopback)},
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: saddr, Len: 4},
		&expr.Lookup{SourceRegister: register, SetName: set.Name, SetID: set.ID},
	}, action...)})
	if err := f.conn.Flush(); err != nil {
		return nil, errors.Join(fmt.Errorf("fill table %s: %w", s.Table, err), f.conn.CloseLasting())
	}
	return f, nil
}

// Hits says how many packets have been lost, or been decided on.
func (f *Filter) Hits() (uint64, error) {
	rules, err := f.conn.GetRules(f.table, f.chain)
	if err != nil {
		return 0, fmt.Errorf("count packets of table %s: %w", f.table.Name, err)
	}
	for _, rule := range rules {
		for _, e := range rule.Exprs {
			if counter, ok := e.(*expr.Counter); ok {
				return counter.Packets, nil
			}
		}
	}
	return 0, fmt.Errorf("count packets of table %s: it has no counter", f.table.Name)
}

// Close lets packets pass as they come, and those that are held go on at once, in the order in which they were due. The rule goes first: with
// a chain's hook the kernel drops all that is held in the namespace.
func (f *Filter) Close() error {
	var errs []error
	if f.queue != nil {
		f.conn.FlushChain(f.chain)
		errs = append(errs, f.conn.Flush(), f.queue.close())
	}
	f.conn.DelTable(f.table)
	if err := errors.Join(append(errs, f.conn.Flush(), f.conn.CloseLasting())...); err != nil {
		return fmt.Errorf("remove table %s: %w", f.table.Name, err)
	}
	return nil
}

// Tables lists the names of all tables of filters in a network namespace that begin with the prefix.
func Tables(netns, prefix string) ([]string, error) {
	there, err := os.Open(netns)
	if err != nil {
		return nil, fmt.Errorf("list nftables tables: %w", err)
	}
	defer there.Close()
	conn, err := nftables.New(nftables.WithNetNSFd(int(there.Fd())))
	if err != nil {
		return nil, fmt.Errorf("list nftables tables: %w", err)
	}
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyIPv4)
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
