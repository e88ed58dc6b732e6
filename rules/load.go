package rules

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"wirechart/dissect"

	"go.yaml.in/yaml/v3"
)

// Parse reads a diagram from its text; name stands for the file in messages.
// A diagram that extends a built-in one comes joined to it. What is wrong comes
// as Mistakes, all of it.
func Parse(name string, b []byte) (*Diagram, error) {
	return joinParts([]Part{{File: name, Text: string(b)}})
}

// Resolve reads the diagrams that names stand for, built-in ones by their
// names and others by their files, and joins them: the later ones add to the
// first. A diagram that extends a built-in one brings that along. Without
// names it is the DefaultDiagram.
func Resolve(names ...string) (*Diagram, error) {
	if len(names) == 0 {
		names = []string{DefaultDiagram}
	}
	var parts []Part
	for _, name := range names {
		if text, ok := BuiltinText(name); ok {
			parts = append(parts, Part{File: name, Text: text})
			continue
		}
		b, err := readText(name)
		if os.IsNotExist(err) && !strings.ContainsAny(name, `/\.`) {
			near := Nearest(name, BuiltinNames())
			if near != "" {
				near = fmt.Sprintf("; did you mean %q?", near)
			}
			return nil, fmt.Errorf("no diagram %q: neither built in (%s) nor a file%s", name, strings.Join(BuiltinNames(), ", "), near)
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, Part{File: name, Text: string(b)})
	}
	return joinParts(parts)
}

// readText reads a file of which a diagram or an inventory may be made. What
// is too long for that is cut right behind the limit, where reading it notices.
func readText(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxText+1))
}

// draft is one file of a diagram before its words are looked up in the others.
type draft struct {
	*text
	part        Part
	extendsLine int

	sources    []sourceDraft
	components []componentDraft
	edges      []edgeDraft
	ambient    []*Infrastructure
	dynamic    []PortRange
	inbound    []*yaml.Node // component ids
	inSource   *yaml.Node
	inReading  string
	extend     []extendDraft
}

type sourceDraft struct {
	Source
	at *yaml.Node
}

type componentDraft struct {
	*Component
	at, kindOf, source *yaml.Node
}

type edgeDraft struct {
	*Edge
	at, source *yaml.Node
	from, to   []*yaml.Node
}

// extendDraft adds names to a component or an edge of another file.
type extendDraft struct {
	component, edge *yaml.Node
	names           []string
}

// joinParts makes one Diagram of its parts. Built-in ones that a part extends are
// put before it unless they are there.
func joinParts(parts []Part) (*Diagram, error) {
	var drafts []*draft
	var texts []*text
	add := func(p Part) *draft {
		x := readDraft(p)
		drafts = append(drafts, x)
		texts = append(texts, x.text)
		return x
	}
	for _, p := range parts {
		x := add(p)
		base := x.part.Extends
		if base == "" || slices.ContainsFunc(drafts[:len(drafts)-1], func(y *draft) bool { return y.part.Name == base }) {
			continue
		}
		text, ok := BuiltinText(base)
		if !ok || base == x.part.Name {
			x.wrongAt(x.extendsLine, "extends unknown diagram %q (built in: %s; others are given before this one)", shorten(base), strings.Join(BuiltinNames(), ", "))
			continue
		}
		drafts, texts = drafts[:len(drafts)-1], texts[:len(texts)-1]
		add(Part{File: base, Text: text})
		drafts, texts = append(drafts, x), append(texts, x.text)
	}
	d := lookUpAll(drafts)
	if err := listed(texts...); err != nil {
		return nil, err
	}
	return d, nil
}

// readDraft reads the keys and values of one file.
func readDraft(p Part) *draft {
	x := &draft{text: &text{file: p.File}, part: p}
	n := x.root([]byte(p.Text))
	if n == nil {
		return x
	}
	x.mapping(n, "the diagram",
		field{"version", true, x.version},
		field{"name", true, func(n *yaml.Node) { x.part.Name = x.id(n, "name") }},
		field{"title", true, func(n *yaml.Node) { x.part.Title = x.sentence(n, "title") }},
		field{"extends", false, func(n *yaml.Node) {
			x.part.Extends, x.extendsLine = x.scalar(n, "extends"), n.Line
		}},
		field{"sources", false, func(n *yaml.Node) { x.each(n, "sources", x.source) }},
		field{"dynamic_ports", false, func(n *yaml.Node) { x.dynamic = x.ports(n, "dynamic_ports") }},
		field{"components", false, func(n *yaml.Node) { x.each(n, "components", x.component) }},
		field{"inbound_dynamic", false, x.inboundDynamic},
		field{"edges", false, func(n *yaml.Node) { x.each(n, "edges", x.edge) }},
		field{"ambient", false, func(n *yaml.Node) { x.each(n, "ambient", x.infrastructure) }},
		field{"extend", false, func(n *yaml.Node) { x.each(n, "extend", x.extension) }},
	)
	if len(x.edges)+len(x.ambient)+len(x.components)+len(x.extend) == 0 && len(x.mistakes) == 0 {
		x.wrong(n, "the diagram has no edges")
	}
	return x
}

// named is "edge" with the id that n gives it, for messages.
func named(what string, n *yaml.Node) string {
	if id := valueOf(n, "id"); id != "" {
		return fmt.Sprintf("%s %q", what, shorten(id))
	}
	return what
}

func (x *draft) source(n *yaml.Node) {
	s, what := sourceDraft{at: n}, named("source", n)
	x.mapping(n, what,
		field{"id", true, func(n *yaml.Node) { s.ID = x.id(n, "id of a source") }},
		field{"title", true, func(n *yaml.Node) { s.Title = x.sentence(n, "title of "+what) }},
		field{"url", false, func(n *yaml.Node) { s.URL = x.scalar(n, "url of "+what) }},
		field{"product", false, func(n *yaml.Node) { s.Product = x.sentence(n, "product of "+what) }},
		field{"read", false, func(n *yaml.Node) { s.Date = x.scalar(n, "date of "+what) }},
	)
	x.sources = append(x.sources, s)
}

func (x *draft) component(n *yaml.Node) {
	what := named("component", n)
	c := componentDraft{at: n, Component: &Component{File: x.file, Line: n.Line}}
	x.mapping(n, what,
		field{"id", true, func(n *yaml.Node) { c.ID = x.id(n, "id of a component") }},
		field{"title", true, func(n *yaml.Node) { c.Title = x.sentence(n, "title of "+what) }},
		field{"closed", false, func(n *yaml.Node) { c.Closed = x.flag(n, "closed of "+what) }},
		field{"external", false, func(n *yaml.Node) { c.External = x.flag(n, "external of "+what) }},
		field{"names", false, func(n *yaml.Node) { c.Names = withNames(nil, x.names(n, what+": name")) }},
		field{"kind_of", false, func(n *yaml.Node) { c.kindOf = n }},
		field{"layout", false, func(n *yaml.Node) { c.Place = x.place(n, "layout of "+what) }},
		field{"source", false, func(n *yaml.Node) { c.source = n }},
	)
	x.components = append(x.components, c)
}

func (x *draft) edge(n *yaml.Node) {
	what := named("edge", n)
	e := edgeDraft{at: n, Edge: &Edge{File: x.file, Line: n.Line}}
	x.mapping(n, what,
		field{"id", true, func(n *yaml.Node) { e.ID = x.id(n, "id of an edge") }},
		field{"title", false, func(n *yaml.Node) { e.Title = x.sentence(n, "title of "+what) }},
		field{"from", true, func(n *yaml.Node) {
			if n.Value == "unstated" {
				e.FromUnstated = true
				return
			}
			x.oneOrMore(n, "from of "+what, func(n *yaml.Node) { e.from = append(e.from, n) })
		}},
		field{"from_stated", false, func(n *yaml.Node) {
			if !x.flag(n, "from_stated of "+what) {
				e.FromUnstated = true
			}
		}},
		field{"to", true, func(n *yaml.Node) {
			x.oneOrMore(n, "to of "+what, func(n *yaml.Node) { e.to = append(e.to, n) })
		}},
		field{"over", true, func(n *yaml.Node) { e.Over = x.services(n, "over of "+what) }},
		field{"optional", false, func(n *yaml.Node) { e.Optional = x.flag(n, "optional of "+what) }},
		field{"require", false, func(n *yaml.Node) { e.Require = x.requirements(n, "require of "+what) }},
		field{"expect", false, func(n *yaml.Node) { e.Expect = x.requirements(n, "expect of "+what) }},
		field{"names", false, func(n *yaml.Node) { e.Names = x.names(n, what+": name") }},
		field{"source_ports", false, func(n *yaml.Node) { e.SourcePorts = x.ports(n, "source_ports of "+what) }},
		field{"our_reading", false, func(n *yaml.Node) { e.OurReading = x.sentence(n, "our_reading of "+what) }},
		field{"source", true, func(n *yaml.Node) { e.source = n }},
	)
	if e.FromUnstated && len(e.from) > 0 && e.OurReading == "" {
		x.wrong(n, "%s has clients that the document does not state and no \"our_reading\" that says why", what)
	}
	x.edges = append(x.edges, e)
}

func (x *draft) infrastructure(n *yaml.Node) {
	what := named("ambient", n)
	a := &Infrastructure{File: x.file, Line: n.Line}
	x.mapping(n, what,
		field{"id", true, func(n *yaml.Node) { a.ID = x.id(n, "id of ambient") }},
		field{"title", true, func(n *yaml.Node) { a.Title = x.sentence(n, "title of "+what) }},
		field{"over", true, func(n *yaml.Node) { a.Over = x.services(n, "over of "+what) }},
		field{"app", false, func(n *yaml.Node) {
			apps := dissect.Names()
			x.oneOrMore(n, "app of "+what, func(n *yaml.Node) {
				app := x.scalar(n, "app of "+what)
				switch {
				case app == "":
				case slices.Contains(apps, app):
					a.Apps = append(a.Apps, app)
				default:
					x.unknown(n, fmt.Sprintf("app cannot be %q", shorten(app)), app, apps)
				}
			})
		}},
		field{"to", false, func(n *yaml.Node) {
			x.oneOrMore(n, "to of "+what, func(n *yaml.Node) {
				switch s := x.scalar(n, "to of "+what); s {
				case "":
				case "site":
					a.ToSite = true
				default:
					if p, ok := x.prefix(n, s); ok {
						a.To = append(a.To, p)
					}
				}
			})
		}},
	)
	x.ambient = append(x.ambient, a)
}

func (x *draft) inboundDynamic(n *yaml.Node) {
	const what = "inbound_dynamic"
	x.mapping(n, what,
		field{"to", true, func(n *yaml.Node) {
			x.oneOrMore(n, "to of "+what, func(n *yaml.Node) { x.inbound = append(x.inbound, n) })
		}},
		field{"our_reading", false, func(n *yaml.Node) { x.inReading = x.sentence(n, "our_reading of "+what) }},
		field{"source", true, func(n *yaml.Node) { x.inSource = n }},
	)
}

func (x *draft) extension(n *yaml.Node) {
	var e extendDraft
	if !x.mapping(n, "an entry of extend",
		field{"component", false, func(n *yaml.Node) { e.component = n }},
		field{"edge", false, func(n *yaml.Node) { e.edge = n }},
		field{"names", true, func(n *yaml.Node) { e.names = x.names(n, "name") }},
	) {
		return
	}
	if (e.component == nil) == (e.edge == nil) {
		x.wrong(n, `an entry of extend needs "component" or "edge", one of them`)
		return
	}
	x.extend = append(x.extend, e)
}

func (x *draft) services(n *yaml.Node, what string) (list []Service) {
	x.oneOrMore(n, what, func(n *yaml.Node) {
		if s, ok := x.service(n); ok {
			list = append(list, s)
		}
	})
	return list
}

// prefix reads an address or a prefix.
func (t *text) prefix(n *yaml.Node, s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		t.wrong(n, "%q is no address and no prefix", shorten(s))
	case p != p.Masked():
		t.wrong(n, "prefix %q has bits set behind its length (meant %s?)", s, p.Masked())
	case p.Addr().Is4In6():
		t.wrong(n, "prefix %q: write IPv4 prefixes as such", s)
	default:
		return p, true
	}
	return p, false
}

// wordIndex is what the words of all drafts stand for.
type wordIndex struct {
	components map[string]*Component
	edges      map[string]*Edge
	first      map[string]string // "edge x" -> where it was first given
	names      int               // given to edges beside their own
}

// unique notes an id that another thing of the kind has.
func (ix *wordIndex) unique(x *draft, n *yaml.Node, kind, id string) bool {
	if id == "" {
		return false
	}
	key := kind + " " + id
	if at, taken := ix.first[key]; taken {
		x.wrong(n, "duplicate %s %q, already at %s", kind, id, at)
		return false
	}
	ix.first[key] = fmt.Sprintf("%s:%d", x.file, n.Line)
	return true
}

// lookUpAll looks the words of all drafts up and makes the Diagram. Its result
// counts when no draft has mistakes.
func lookUpAll(drafts []*draft) *Diagram {
	d := &Diagram{Version: 1}
	ix := &wordIndex{
		components: make(map[string]*Component),
		edges:      make(map[string]*Edge),
		first:      make(map[string]string),
	}
	for i, x := range drafts {
		if i == 0 {
			d.Name, d.Title, d.File = x.part.Name, x.part.Title, x.part.File
		}
		d.Parts = append(d.Parts, x.part)
		for _, s := range x.sources {
			if ix.unique(x, s.at, "source", s.ID) {
				d.Sources = append(d.Sources, s.Source)
			}
		}
		for _, c := range x.components {
			if ix.unique(x, c.at, "component", c.ID) {
				d.Components = append(d.Components, c.Component)
				ix.components[c.ID] = c.Component
			}
		}
		for _, e := range x.edges {
			if ix.unique(x, e.at, "edge", e.ID) {
				d.Edges = append(d.Edges, e.Edge)
				ix.edges[e.ID] = e.Edge
			}
		}
		for _, a := range x.ambient {
			if ix.unique(x, &yaml.Node{Line: a.Line}, "ambient", a.ID) {
				d.Ambient = append(d.Ambient, a)
			}
		}
		for _, r := range x.dynamic {
			if !slices.Contains(d.DynamicPorts, r) {
				d.DynamicPorts = append(d.DynamicPorts, r)
			}
		}
	}
	for _, x := range drafts {
		x.look(d, ix)
	}
	for _, x := range drafts {
		for _, e := range x.edges {
			if len(e.Names) == 0 && ix.names <= maxNames {
				x.addNames(ix, e.Edge, namesOfExternal(e.To))
			}
		}
	}
	for _, x := range drafts {
		x.extendNames(d, ix)
	}
	return d
}

// maxNames bounds the names of all edges together: names times edges may be
// much more than a file holds.
const maxNames = 1 << 18

// addNames adds names to e. The list is a new one: several edges may share the
// old.
func (x *draft) addNames(ix *wordIndex, e *Edge, names []string) {
	if ix.names += len(e.Names) + len(names); ix.names > maxNames {
		if ix.names-len(e.Names)-len(names) <= maxNames {
			x.wrongAt(0, "edges and names of components together make more than %d names", maxNames)
		}
		return
	}
	e.Names = withNames(e.Names, names)
}

// look looks up the words of x.
func (x *draft) look(d *Diagram, ix *wordIndex) {
	for _, c := range x.components {
		what := named("component", c.at)
		if c.kindOf != nil {
			c.KindOf = x.componentAt(d, ix, c.kindOf, what)
		}
		if c.source != nil {
			c.Source, _ = x.sourceAt(d, c.source, what)
		}
	}
	for _, c := range x.components {
		if c.KindOf != nil && !endsWell(c.Component) {
			x.wrong(c.kindOf, "component %q: kind_of %q leads round in a circle, or over more than %d steps", c.ID, c.kindOf.Value, maxKinds)
			c.KindOf = nil
		}
	}
	for _, e := range x.edges {
		what := named("edge", e.at)
		e.From = x.componentsAt(d, ix, e.from, what+", from")
		e.To = x.componentsAt(d, ix, e.to, what+", to")
		if e.source != nil {
			e.Source, e.Where = x.sourceAt(d, e.source, what)
		}
	}
	d.InboundDynamic = append(d.InboundDynamic, x.componentsAt(d, ix, x.inbound, "inbound_dynamic")...)
	if x.inSource != nil {
		source, _ := x.sourceAt(d, x.inSource, "inbound_dynamic")
		d.InboundSource = cmp.Or(d.InboundSource, source)
		d.InboundReading = cmp.Or(d.InboundReading, x.inReading)
	}
}

// endsWell says whether the kinds of c lead to a most general one.
func endsWell(c *Component) bool {
	for range maxKinds {
		if c = c.KindOf; c == nil {
			return true
		}
	}
	return false
}

func (x *draft) componentsAt(d *Diagram, ix *wordIndex, nodes []*yaml.Node, what string) (list []*Component) {
	for _, n := range nodes {
		c := x.componentAt(d, ix, n, what)
		switch {
		case c == nil:
		case slices.Contains(list, c):
			x.wrong(n, "%s names component %q twice", what, c.ID)
		default:
			list = append(list, c)
		}
	}
	return list
}

// componentAt finds the component that n names, nil after a mistake.
func (x *draft) componentAt(d *Diagram, ix *wordIndex, n *yaml.Node, what string) *Component {
	id := x.scalar(n, what)
	if id == "" {
		return nil
	}
	c := ix.components[id]
	if c == nil {
		x.unknown(n, fmt.Sprintf("%s: unknown component %q", what, shorten(id)), id, componentIDs(d))
	}
	return c
}

func componentIDs(d *Diagram) []string {
	ids := make([]string, len(d.Components))
	for i, c := range d.Components {
		ids[i] = c.ID
	}
	return ids
}

// sourceAt reads "vendor-page, storage node": the id of a source, and the
// place in it.
func (x *draft) sourceAt(d *Diagram, n *yaml.Node, what string) (id, where string) {
	id, where, _ = strings.Cut(x.scalar(n, "source of "+what), ",")
	id, where = strings.TrimSpace(id), strings.TrimSpace(where)
	if id == "" || slices.ContainsFunc(d.Sources, func(s Source) bool { return s.ID == id }) {
		return id, where
	}
	ids := make([]string, len(d.Sources))
	for i, s := range d.Sources {
		ids[i] = s.ID
	}
	x.unknown(n, fmt.Sprintf("%s: unknown source %q", what, shorten(id)), id, ids)
	return id, where
}

// namesOfExternal is the names by which components outside the site are known.
func namesOfExternal(list []*Component) (names []string) {
	for _, c := range list {
		if c.External && len(names) <= maxNames {
			names = append(names, c.Names...)
		}
	}
	return names
}

// extendNames adds the names that x has for components and edges of others. A
// name of a component is one of every edge that leads there and is known by
// names.
func (x *draft) extendNames(d *Diagram, ix *wordIndex) {
	for _, add := range x.extend {
		if add.edge != nil {
			id := x.scalar(add.edge, "edge of extend")
			if e := ix.edges[id]; e != nil {
				x.addNames(ix, e, add.names)
			} else if id != "" {
				ids := make([]string, len(d.Edges))
				for i, e := range d.Edges {
					ids[i] = e.ID
				}
				x.unknown(add.edge, fmt.Sprintf("extend: unknown edge %q", shorten(id)), id, ids)
			}
			continue
		}
		c := x.componentAt(d, ix, add.component, "extend")
		if c == nil {
			continue
		}
		c.Names = withNames(c.Names, add.names)
		for _, e := range d.Edges {
			if slices.Contains(e.To, c) && (c.External || len(e.Names) > 0) {
				x.addNames(ix, e, add.names)
			}
		}
	}
}

// withNames is old and what is new in more, in a list of its own.
func withNames(old, more []string) []string {
	names := make([]string, 0, len(old)+len(more))
	seen := make(map[string]bool, len(old)+len(more))
	for _, list := range [][]string{old, more} {
		for _, name := range list {
			if !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}
