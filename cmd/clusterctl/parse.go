package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// The defaults of the store that the format comes from.
const (
	defaultDataDir = "var"
	defaultBinPath = "bin"
)

// parseConfig reads a configuration. It walks the YAML itself, since the decoder's own check for known
// fields names Go types and stops short of values. The error has a line "NAME:LINE: FIELD: ..." for
// each mistake.
func parseConfig(name string, data []byte) (*config, error) {
	p := parser{name: name}
	c := &config{dataDir: defaultDataDir, binPath: defaultBinPath}
	if document := p.document(data); document != nil {
		p.cluster(document, c)
	}
	slices.SortStableFunc(p.problems, func(a, b problem) int { return cmp.Compare(a.line, b.line) })
	var errs []error
	for _, bad := range p.problems {
		errs = append(errs, fmt.Errorf("%s:%d: %s", name, bad.line, bad.text))
	}
	return c, errors.Join(errs...)
}

// A parser gathers what is wrong.
type parser struct {
	name     string
	problems []problem
}

type problem struct {
	line int
	text string
}

func (p *parser) bad(line int, format string, args ...any) {
	p.problems = append(p.problems, problem{max(line, 1), fmt.Sprintf(format, args...)})
}

// yamlLine is how the YAML library tells where it stumbled.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// document returns the root of the only document, or nil.
func (p *parser) document(data []byte) *yaml.Node {
	var root, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	err := decoder.Decode(&root)
	if err == nil {
		if err = decoder.Decode(&second); errors.Is(err, io.EOF) {
			return root.Content[0]
		}
	}
	switch {
	case err == nil:
		p.bad(second.Line, "a second document given, one allowed")
	case errors.Is(err, io.EOF):
		p.bad(1, "nothing given, a mapping with the fields data_dir, bin_path, leader, cluster expected")
	default:
		line, _ := strconv.Atoi(yamlLine.FindStringSubmatch(err.Error() + " ")[1])
		p.bad(line, "not YAML: %s", yamlLine.ReplaceAllString(err.Error(), ""))
	}
	return nil
}

// cluster reads the root.
func (p *parser) cluster(root *yaml.Node, c *config) {
	fields := p.mapping(root, "", "data_dir", "bin_path", "leader", "cluster")
	if fields == nil {
		return
	}
	if fields["data_dir"] != nil {
		c.dataDir, _ = p.text(fields, root, "data_dir", "a folder")
	}
	if fields["bin_path"] != nil {
		c.binPath, _ = p.text(fields, root, "bin_path", "the node's program or its folder")
	}
	p.replicas(resolve(fields["cluster"]), root.Line, c)
	leader, ok := p.text(fields, root, "leader", "the alias of the node that founds the cluster")
	if ok && len(c.replicas) > 0 && !slices.Contains(c.aliases(), leader) {
		p.bad(fields["leader"].Line, "leader: %q given%s", clip(leader), nearest(clip(leader), c.aliases()))
	}
	c.leader = leader
}

// replicas reads the list of nodes.
func (p *parser) replicas(list *yaml.Node, rootLine int, c *config) {
	const expected = "a list of nodes with alias, http_address, rpc_address expected"
	switch {
	case list == nil:
		p.bad(rootLine, "cluster: missing; %s", expected)
		return
	case list.Kind != yaml.SequenceNode:
		p.bad(list.Line, "cluster: %s given, %s", given(list), expected)
		return
	case len(list.Content) == 0:
		p.bad(list.Line, "cluster: an empty list given, at least one node expected")
	}
	aliases, addresses := map[string]int{}, map[netip.AddrPort]string{}
	for i, item := range list.Content {
		path := fmt.Sprintf("cluster[%d]", i)
		fields := p.mapping(resolve(item), path, "alias", "http_address", "rpc_address")
		if fields == nil {
			continue
		}
		r := replica{alias: p.alias(fields, item, path, aliases)}
		r.http = p.address(fields, item, path+".http_address", addresses)
		r.rpc = p.address(fields, item, path+".rpc_address", addresses)
		c.replicas = append(c.replicas, r)
	}
}

// alias reads a name that is fit for a node's id and for a folder, and that no other node has.
func (p *parser) alias(fields map[string]*yaml.Node, item *yaml.Node, path string, taken map[string]int) string {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	path += ".alias"
	alias, ok := p.text(fields, item, path, "a name")
	if !ok {
		return ""
	}
	line := fields["alias"].Line
	first, double := taken[alias]
	switch {
	case len(alias) > 64 || strings.Trim(alias, allowed) != "":
		p.bad(line, "%s: %q given, 1 to 64 characters of [A-Za-z0-9._-] allowed", path, clip(alias))
	case alias == "." || alias == "..":
		p.bad(line, "%s: %q given, which is no name for a folder", path, alias)
	case double:
		p.bad(line, "%s: %q given, the node on line %d has it already", path, alias, first)
	default:
		taken[alias] = line
	}
	return alias
}

// address reads an IP and port that nodes can be told, and that no other field has.
func (p *parser) address(fields map[string]*yaml.Node, item *yaml.Node, path string, taken map[netip.AddrPort]string) string {
	text, ok := p.text(fields, item, path, "IP:port, such as 127.0.0.1:8080")
	if !ok {
		return ""
	}
	line := fields[lastPart(path)].Line
	a, err := netip.ParseAddrPort(text)
	where := netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	switch {
	case err != nil || a.Port() == 0:
		p.bad(line, "%s: %q given, IP:port expected, such as 127.0.0.1:8080", path, clip(text))
	case a.Addr().IsUnspecified():
		p.bad(line, "%s: %q given, which names no interface; the other nodes are told this address, so it must be a concrete one", path, text)
	case taken[where] != "":
		p.bad(line, "%s: %q given, %s has it already", path, text, taken[where])
	default:
		taken[where] = path
	}
	return text
}

// mapping returns the fields of a mapping, or nil after a complaint if n is none.
func (p *parser) mapping(n *yaml.Node, path string, known ...string) map[string]*yaml.Node {
	where := ""
	if path != "" {
		where = path + ": "
	}
	if n = resolve(n); n.Kind != yaml.MappingNode {
		p.bad(n.Line, "%s%s given, a mapping with the fields %s expected", where, given(n), strings.Join(known, ", "))
		return nil
	}
	fields := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolve(n.Content[i]), resolve(n.Content[i+1])
		switch first := fields[key.Value]; {
		case !slices.Contains(known, key.Value):
			p.bad(n.Content[i].Line, "%sunknown field %s%s", where, given(key), nearest(clip(key.Value), known))
		case first != nil:
			p.bad(n.Content[i].Line, "%s%s given twice, first on line %d", where, key.Value, first.Line)
		default:
			fields[key.Value] = value
		}
	}
	return fields
}

// text returns the field at the end of path, which must be a text that is not empty. Numbers count as text.
func (p *parser) text(fields map[string]*yaml.Node, parent *yaml.Node, path, expected string) (string, bool) {
	n := fields[lastPart(path)]
	switch {
	case n == nil:
		p.bad(parent.Line, "%s: missing; %s expected", path, expected)
	case n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "" || strings.ContainsRune(n.Value, 0):
		p.bad(n.Line, "%s: %s given, %s expected", path, given(n), expected)
	default:
		return n.Value, true
	}
	return "", false
}

// resolve follows a YAML alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// given describes a value for an error.
func given(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null" || n.Value == "":
		return "nothing"
	default:
		return strconv.Quote(clip(n.Value))
	}
}

// clip keeps an error readable.
func clip(s string) string {
	const most = 70 // bytes
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
