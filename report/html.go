package report

import (
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"wirechart/flows"
	"wirechart/pcaps"
	"wirechart/rules"
)

// The report that is handed in: one file, with nothing fetched and no script.
// Its parts come in the order in which the page has them; every text goes
// through Clean here and through html/template there. The template is parsed
// when the format is used, not when the program starts.

//go:embed page/report.html.tmpl
var reportTemplate string

//go:embed page/report.css
var reportStyle string

var htmlFormat = Format{
	Name:     "html",
	Doc:      "one self-contained page to hand in: pictures, proofs, appendix",
	Audit:    auditHTML,
	Diff:     diffHTML,
	Compare:  compareHTML,
	Detailed: true,
}

// Provenance is what a report that is handed in says of how it was made.
type Provenance struct {
	Version string
	Command string   // the command line
	Digests []string // SHA-256 of each capture in hexadecimal, or why there is none, in the order of Options.Files
}

func auditHTML(w io.Writer, a *rules.Audit, o *Options) error {
	t, err := template.New("").Parse(drawingTemplate)
	if err != nil {
		return err
	}
	if t, err = t.Parse(reportTemplate); err != nil {
		return err
	}
	return t.ExecuteTemplate(w, "report", newHTMLPage(a, o))
}

// The limits of lists on the page: what is behind is counted.
const (
	maxPageHosts    = 500
	maxRoleHosts    = 40
	maxPagePairs    = 6
	maxPageServices = 60
	maxPageEvidence = 4
	minPageIndex    = 5 // findings that get a table of contents
)

// htmlPage is everything on the page, as text.
type htmlPage struct {
	Style template.CSS
	CSP   string

	Title, Sign, Headline, Sentence, Class string
	Diagram                                string
	Facts                                  []fact
	Tally                                  []htmlCount

	Steps     []htmlStep // what to do, in short
	MoreSteps string
	Unseen    bool      // some edge was not
	Parties   []htmlLot // the components that were found, and those that were not
	States    []htmlLot // the edges by their state

	Documented, Observed *svgView
	Unshown              string

	Components []htmlComponent
	Edges      []htmlEdge
	EdgeTotals string
	Findings   []htmlFinding
	Index      []htmlFinding // the findings in a line each, where they are many
	Baseline   string
	Concerns   []htmlFinding
	Choices    []htmlChoice
	Hosts      []htmlHost
	MoreHosts  string
	Services   []htmlUsage
	MoreUsage  string
	Apps       []htmlUsage
	Ambient    []htmlUsage
	Timeline   *timelineView
	Captures   []htmlCapture
	Trouble    []string
	Asides     []string
	Sources    []htmlSource
	Parts      []fact
	Trials     string
	Judged     bool // some flow was held against the diagram
	Notes      []string
	Version    string
	Command    string
	Revision   string
	ShowText   string
}

type fact struct{ Name, Value string }

type htmlCount struct {
	Class, Sign, Word, Flows, Bytes, Means string
}

type htmlComponent struct {
	ID, Title, Note string
	Hosts           []htmlRole
	More            string
	Total           int // hosts, those that are not listed as well
}

type htmlRole struct {
	Host, Name, Sure string
	Because          []string
}

type htmlEdge struct {
	ID, Title, Class, Sign, State, From, To, Over, Optional string
	Requires                                                []string
	Flows, Counts, Evidence, Why, Source, Reading, At       string
	Blocked                                                 string // of an edge that is seen: how many flows did not get through
	Pairs                                                   []string
	MorePairs                                               string
}

type htmlFinding struct {
	Number                                        int
	ID, Class, Sign, Kind, Severity               string
	From, To, Service, Flows, Period, What        string
	Clients, Servers, EdgeWord, EdgeID, EdgeAt    string
	Example                                       string
	File, Frame, Says, Matters, Do, Reason, Proof string
	Count                                         string
}

type htmlChoice struct{ Client, Pinged, Used, Closest string }

type htmlHost struct {
	Address, Name, Names, Parts, Flows, Ports, MAC, First string
}

type htmlUsage struct {
	Name, App, Flows, Bytes, Verdicts, First string
}

type htmlCapture struct {
	Name, Format, Frames, Bytes, First, Last, Snap, Remarks, Digest string
}

type htmlSource struct{ ID, Title, Product, URL, Read string }

// stylePolicy is the policy of a page that has a style of its own and nothing else.
func stylePolicy(style string) string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}

func newHTMLPage(a *rules.Audit, o *Options) *htmlPage {
	style := reportStyle + drawingStyle
	headline, sentence := answer(a)
	p := &htmlPage{
		Style:    template.CSS(style), // our own text, from the program
		CSP:      stylePolicy(style),
		Sign:     resultSign(ResultOf(a)),
		Class:    string(ResultOf(a)),
		Headline: map[Result]string{Conforms: "Conforms", Findings: "Does not conform", Undecided: "Undecided"}[ResultOf(a)],
		Sentence: Clean(capital(sentence)),
		Diagram:  Clean(diagramTitle(a.Diagram)),
		Trials:   rules.InferenceTrials,
		Judged:   judged(a) > 0,
		Version:  "unknown",
	}
	if a.Baseline != nil { // what is known already still does not conform
		p.Headline = headline[:1] + strings.ToLower(headline[1:])
	}
	p.Title = headline + " · " + p.Diagram
	p.facts(a)
	for _, k := range kinds {
		if c := a.Verdicts[k]; c.Flows > 0 {
			p.Tally = append(p.Tally, htmlCount{kindClass(k), kindSign(k), kindWord(k), number(c.Flows), size(c.Bytes), kindMeans(k)})
		}
	}
	if d := a.Diagram; d != nil {
		g := newDrawing(d, a)
		p.Documented, p.Observed = g.view(false, true), g.view(true, true)
		// One size for both, so that they can be laid on each other.
		p.Documented.Width = p.Observed.Width
		if g.unshown > 0 {
			p.Unshown = count(uint64(g.unshown), "kind") + " of undocumented traffic more than the picture has room for; the findings have them all."
		}
		p.components(a, o)
		p.sources(d)
	}
	p.edges(a, o)
	p.Steps, p.MoreSteps = newHTMLSteps(a.Findings)
	p.lots()
	p.Baseline = baselineSays(a)
	for i := range a.Findings {
		p.Findings = append(p.Findings, newHTMLFinding(i+1, &a.Findings[i], o))
	}
	if len(p.Findings) >= minPageIndex {
		p.Index = p.Findings
	}
	for i := range a.Concerns {
		p.Concerns = append(p.Concerns, newHTMLFinding(i+1, &a.Concerns[i], o))
	}
	for i := range a.Choices {
		client, pinged, used, closest := choiceRow(&a.Choices[i], 8)
		p.Choices = append(p.Choices, htmlChoice{Clean(client), Clean(pinged), Clean(used), Clean(closest)})
	}
	p.hosts(a, o)
	p.usages(a, o)
	p.Timeline = newTimeline(a)
	p.captures(a, o)
	for _, note := range a.Notes { // the page tells of the trials once
		p.Notes = append(p.Notes, Clean(strings.TrimSuffix(note, " "+rules.InferenceTrials)))
	}
	if v := o.Provenance; v != nil {
		p.Version, p.Command = Clean(v.Version), Clean(v.Command)
	}
	return p
}

// baselineSays tells of an earlier audit of which only what is new is shown.
func baselineSays(a *rules.Audit) string {
	b := a.Baseline
	if b == nil {
		return ""
	}
	return Clean(fmt.Sprintf("Only what is new since %s is listed: %s of %s that it has as well are left out.",
		b.File, count(uint64(b.Known), "finding"), count(b.Flows, "flow")))
}

func (p *htmlPage) facts(a *rules.Audit) {
	c := &a.Coverage
	if c.First != 0 {
		p.Facts = append(p.Facts, fact{"Period", period(c.First, c.Last) + " (" + span(c.Last-c.First) + ")"})
	}
	var frames, bytes uint64
	for i := range c.Captures.Files {
		frames += c.Captures.Files[i].Frames
		bytes += c.Captures.Files[i].Bytes
	}
	p.Facts = append(p.Facts, fact{"Captured", fmt.Sprintf("%s, %s, %s, %s", count(c.Captures.Captures(), "capture"), count(frames, "frame"), size(bytes), count(c.Flows, "flow"))})
	trouble, _ := coverageRemarks(c)
	quality := nothingMissing(c)
	switch n := len(trouble); {
	case frames == 0:
		quality = "no frames"
	case n > 2:
		quality = strings.Join(trouble[:2], "; ") + "; and more, under Capture quality"
	case n > 0:
		quality = strings.Join(trouble, "; ")
	}
	p.Facts = append(p.Facts, fact{"Capture quality", capital(Clean(quality))})
	if n := len(a.Findings); n > 0 {
		p.Facts = append(p.Facts, fact{"Findings", count(uint64(n), "kind") + ", listed below, most serious first"})
	}
}

func (p *htmlPage) components(a *rules.Audit, o *Options) {
	for _, c := range a.Diagram.Components {
		x := htmlComponent{ID: c.ID, Title: Clean(c.Title)}
		if c.KindOf != nil {
			x.Note = "A kind of " + Clean(c.KindOf.Title) + "."
		}
		n := 0
		for h, r := range having(a.Hosts, c) {
			if n++; n > maxRoleHosts {
				continue
			}
			role := htmlRole{Host: h.Addr.String(), Name: Clean(h.Name), Sure: percent(h, r)}
			for _, e := range r.Because[:min(len(r.Because), maxPageEvidence)] {
				if h.Pinned && e.Frame.Number() == 0 {
					continue // no more than that it is given
				}
				s := Clean(e.Says)
				if at := o.place(e.Frame); at != "" {
					s += " (" + Clean(at) + ")"
				}
				role.Because = append(role.Because, s)
			}
			if h.Pinned {
				role.Sure = "by the inventory"
			}
			x.Hosts = append(x.Hosts, role)
		}
		x.Total = n
		if n > maxRoleHosts {
			x.More = "and " + number(uint64(n-maxRoleHosts)) + " more hosts, in the table of hosts"
		}
		p.Components = append(p.Components, x)
	}
}

func (p *htmlPage) edges(a *rules.Audit, o *Options) {
	for i := range a.Edges {
		p.Edges = append(p.Edges, newHTMLEdge(&a.Edges[i], o))
	}
	p.EdgeTotals = countEdges(a).String()
}

func newHTMLEdge(e *rules.EdgeState, o *Options) htmlEdge {
	sign, _ := edgeMark(e.Status)
	names := serviceNames(e.Edge)
	x := htmlEdge{
		ID: e.Edge.ID, Title: Clean(e.Edge.Title), Class: className(e.Status.String()), Sign: sign, State: e.Status.String(),
		From: "not stated", To: componentIDs(e.Edge.To), Over: Clean(strings.Join(names, ", ")),
		Why: Clean(capital(e.Why)), Reading: Clean(e.Edge.OurReading), At: Clean(edgeAt(e.Edge)), Source: Clean(e.Edge.Source),
	}
	if len(e.Edge.From) > 0 {
		x.From = componentIDs(e.Edge.From)
	}
	if e.Edge.Where != "" {
		x.Source += ", " + Clean(e.Edge.Where)
	}
	if e.Edge.Optional {
		x.Optional = "optional"
	}
	for _, list := range []struct {
		word string
		all  []rules.Requirement
	}{{"must: ", e.Edge.Require}, {"where visible: ", e.Edge.Expect}} {
		for k := range list.all {
			x.Requires = append(x.Requires, list.word+Clean(list.all[k].String()))
		}
	}
	if e.Status != rules.EdgeNotSeen {
		x.Flows = count(edgeFlows(e), "flow")
		var parts []string
		for _, k := range kinds {
			if n := e.Verdicts[k].Flows; n > 0 {
				parts = append(parts, kindCount(k, n))
			}
		}
		x.Counts = strings.Join(parts, ", ")
		if n := hindered(e); n > 0 {
			x.Blocked = kindSign(rules.Blocked) + " " + number(n) + " blocked"
		}
		x.Evidence = Clean(e.Example)
		if at := o.place(e.First); at != "" {
			x.Evidence += ", " + Clean(at)
		}
		x.Why = ""
	} else if x.Why == "" {
		x.Why = "These captures could not have shown it."
		if e.CouldShow {
			x.Why = "These captures could have shown it."
		}
	}
	for k := range e.Pairs {
		if k == maxPagePairs {
			x.MorePairs = "and " + number(uint64(len(e.Pairs)-k)) + " more pairs"
			break
		}
		h := &e.Pairs[k]
		s := h.Client.String() + " → " + h.Server.String()
		if len(names) != 1 || h.Service() != names[0] { // an edge of one service has said it
			s += " " + h.Service()
		}
		x.Pairs = append(x.Pairs, s+", "+count(h.Count().Flows, "flow"))
	}
	return x
}

func newHTMLFinding(n int, f *rules.Finding, o *Options) htmlFinding {
	what, says := told(f)
	x := htmlFinding{
		Number: n, ID: f.ID, Class: kindClass(f.Kind), Sign: kindSign(f.Kind), Kind: kindWord(f.Kind), Severity: f.Severity.String(),
		From: Clean(f.From), To: Clean(f.To), Service: Clean(f.Service), Flows: count(f.Flows, "flow") + ", " + size(f.Bytes), Count: number(f.Flows),
		Period: period(f.First, f.Last), What: Clean(what), Says: Clean(says),
		Clients: addresses(f.Clients), Servers: addresses(f.Servers),
		Example: end(f.Example.Client) + " > " + end(f.Example.Server), Matters: matters(f), Do: Clean(f.Do), Reason: f.Reason.String(),
	}
	if f.Edge != nil {
		x.EdgeID, x.EdgeAt, x.EdgeWord = f.Edge.ID, Clean(edgeAt(f.Edge)), "edge"
		if f.Kind == rules.Undocumented {
			x.EdgeWord = "nearest edge"
		}
	}
	if f.Example.Frame.Number() > 0 {
		x.File, x.Frame = Clean(o.shortName(f.Example.Frame.File())), strconv.FormatUint(f.Example.Frame.Number(), 10)
	}
	x.Proof = "wirechart explain CAPTURE --finding " + f.ID
	return x
}

// addresses is a list of hosts that is known to be the first few, in their
// order.
func addresses(list []netip.Addr) string {
	var parts []string
	for _, a := range slices.SortedFunc(slices.Values(list), netip.Addr.Compare) {
		parts = append(parts, a.String())
	}
	if len(parts) == rules.MaxNamed {
		parts = append(parts, "…")
	}
	return strings.Join(parts, ", ")
}

// period is a stretch of packet time for people.
func period(first, last int64) string {
	if first == 0 {
		return ""
	}
	begin, finish := time.Unix(0, first).UTC(), time.Unix(0, last).UTC()
	s := begin.Format("2006-01-02 15:04:05")
	switch {
	case begin.Unix() == finish.Unix():
	case begin.Format(time.DateOnly) == finish.Format(time.DateOnly):
		s += " to " + finish.Format("15:04:05")
	default:
		s += " to " + finish.Format("2006-01-02 15:04:05")
	}
	return s + " UTC"
}

func (p *htmlPage) hosts(a *rules.Audit, o *Options) {
	for i := range a.Hosts {
		if i == maxPageHosts {
			p.MoreHosts = "and " + number(uint64(len(a.Hosts)-i)) + " more hosts: wirechart hosts lists them all"
			break
		}
		h := &a.Hosts[i]
		x := htmlHost{Address: h.Addr.String(), Name: Clean(h.Name), Flows: number(h.Flows), Parts: "none", First: Clean(o.place(h.FirstSeen))}
		if h.MAC != (flows.MAC{}) {
			x.MAC = string(appendMAC(nil, h.MAC))
		}
		for _, name := range h.Names {
			if name != h.Name && cells(x.Names) < 120 {
				x.Names = strings.TrimPrefix(x.Names+", "+Clean(name), ", ")
			}
		}
		if h.Sampled > 0 {
			x.Ports = rules.PortRange{Low: h.Ports[0], High: h.Ports[1]}.String()
		}
		var parts []string
		for k := range h.Roles {
			parts = append(parts, h.Roles[k].Component.ID+" ("+percent(h, &h.Roles[k])+")")
		}
		if len(parts) > 0 {
			x.Parts = strings.Join(parts, ", ")
		}
		p.Hosts = append(p.Hosts, x)
	}
}

func (p *htmlPage) usages(a *rules.Audit, o *Options) {
	d := a.Detail
	if d == nil {
		return
	}
	row := func(u *rules.Usage, name, app string) htmlUsage {
		var c rules.Count
		var parts []string
		for _, k := range kinds {
			if n := u.Verdicts[k]; n.Flows > 0 {
				c.Flows, c.Bytes = c.Flows+n.Flows, c.Bytes+n.Bytes
				parts = append(parts, kindCount(k, n.Flows))
			}
		}
		return htmlUsage{name, app, number(c.Flows), size(c.Bytes), strings.Join(parts, ", "), Clean(o.place(u.Frame))}
	}
	spoken := func(app string) string {
		switch app {
		case "":
			return "not recognised"
		case "…":
			return "several"
		}
		return Clean(app)
	}
	for i := range d.Services {
		if i == maxPageServices {
			p.MoreUsage = "and " + number(uint64(len(d.Services)-i)) + " more services"
			break
		}
		u := &d.Services[i]
		p.Services = append(p.Services, row(u, Clean(u.Name()), spoken(u.App)))
	}
	if d.Unlisted > 0 {
		p.MoreUsage = strings.TrimPrefix(p.MoreUsage+"; "+count(d.Unlisted, "flow")+" to services that were not counted apart", "; ")
	}
	for i := range d.Apps[:min(len(d.Apps), maxPageServices)] {
		u := &d.Apps[i]
		p.Apps = append(p.Apps, row(u, spoken(u.App), flows.ProtoText(u.Proto)))
	}
}

func (p *htmlPage) captures(a *rules.Audit, o *Options) {
	c := &a.Coverage
	for i := range c.Captures.Files {
		f := &c.Captures.Files[i]
		x := htmlCapture{Name: Clean(f.Name), Format: f.Format, Frames: number(f.Frames), Bytes: size(f.Bytes), Digest: "not computed"}
		if f.Compression != "" {
			x.Format += ", " + f.Compression
		}
		if f.Frames > 0 {
			x.First, x.Last = clock(f.First), clock(f.Last)
		}
		if f.SnapLen > 0 {
			x.Snap = number(uint64(f.SnapLen))
		}
		x.Remarks = Clean(fileRemarks(f))
		if v := o.Provenance; v != nil && i < len(v.Digests) {
			x.Digest = Clean(v.Digests[i])
		}
		p.Captures = append(p.Captures, x)
	}
	p.Trouble, p.Asides = coverageRemarks(c)
	for _, list := range [][]string{p.Trouble, p.Asides} {
		for i := range list {
			list[i] = capital(Clean(list[i]))
		}
	}
}

// fileRemarks is what the tables of captures say beside one.
func fileRemarks(f *pcaps.FileStats) string {
	var remarks []string
	if f.Cut > 0 {
		remarks = append(remarks, count(f.Cut, "frame")+" cut by the snap length")
	}
	if f.Leaps > 0 {
		remarks = append(remarks, leaps(f))
	}
	if f.Outages > 0 {
		remarks = append(remarks, outages(f)+" while capturing")
	}
	if d := f.Damage; d != nil {
		remarks = append(remarks, fmt.Sprintf("damaged behind frame %d, at byte %d: %s", d.Frame, d.Offset, d.Reason))
	}
	for _, s := range f.Comments {
		remarks = append(remarks, "comment: "+s)
	}
	return strings.Join(remarks, "; ")
}

// clock is a packet time to the second.
func clock(ns int64) string { return time.Unix(0, ns).UTC().Format("2006-01-02 15:04:05 UTC") }

func (p *htmlPage) sources(d *rules.Diagram) {
	for _, s := range d.Sources {
		p.Sources = append(p.Sources, htmlSource{s.ID, Clean(s.Title), Clean(s.Product), s.URL, Clean(s.Date)})
	}
	var names []string
	for _, part := range d.Parts {
		p.Parts = append(p.Parts, fact{Clean(part.Name), Clean(part.Title)})
		names = append(names, Clean(part.File))
	}
	p.Revision = d.Revision()
	p.ShowText = "wirechart diagram show --yaml " + strings.Join(names, " ") + " | sha256sum"
}

// kindClass is the class of a verdict, kindSign its sign: never colour alone.
func kindClass(k rules.Kind) string { return strings.ReplaceAll(k.String(), "_", "-") }

func kindSign(k rules.Kind) string {
	return [...]string{
		rules.Indeterminate: "?", rules.Documented: "✓", rules.Violation: "✗", rules.Undocumented: "!",
		rules.Blocked: "⊘", rules.Ambient: "·", rules.OutOfScope: "·",
	}[k]
}

// matters says why a finding matters, in a sentence or two: what follows from
// it for those who run the site.
func matters(f *rules.Finding) string {
	in := func(list ...rules.Reason) bool { return slices.Contains(list, f.Reason) }
	switch {
	case in(rules.ZMTPMechanismNull, rules.ZMTPVersion1, rules.ZMTPVersion2):
		return "Anyone on the path can read and change what is sent, and anyone who reaches the port can take either end's place: neither end proves who it is."
	case in(rules.ZMTPMechanismPlain, rules.CleartextCredentials):
		return "Anyone on the path can read the password and what is sent, and use it later."
	case in(rules.JWTInClear, rules.JWTInURL):
		return "Whoever has the token can act in its owner's name until it expires."
	case in(rules.JWTAlgNone, rules.NoAuthentication):
		return "If the server accepts it, anyone who reaches the port can act without proving who they are."
	case in(rules.PlaintextHTTPOn443, rules.PlaintextHTTPOn9877, rules.PlaintextHTTPOn8888, rules.PlaintextOn9876, rules.PlaintextOn9877,
		rules.PlaintextOn44445, rules.PlaintextWhereTLSIsRequired):
		return "Anyone on the path can read and change what is sent."
	case in(rules.MTLSClientCertEmptyAccepted, rules.MTLSNotRequestedByServer):
		return "Whoever reaches the port gets past the handshake without proving who they are: the protection that the diagram relies on is missing, unless something inside the connection takes its place."
	case in(rules.MTLSClientCertMissing, rules.MTLSClientCertEmpty, rules.RejectedByServer, rules.RejectedByClient, rules.TLSHandshakeFailed, rules.ZMTPCurveHandshakeFailed, rules.ZMTPMechanismNotCurve):
		return "The two ends cannot work together until this is fixed: the connection does not serve its purpose."
	case in(rules.TLSVersionTooOld, rules.TLSVersionObsolete, rules.TLSCipherRC4, rules.TLSCipher3DES, rules.TLSCipherExport, rules.TLSCipherNull, rules.TLSCipherAnonymous):
		return "The encryption is weaker than it should be: known attacks read or change such connections."
	case in(rules.PortScan):
		return "Scans often precede attacks. An unauthorised one means that somebody is looking for ways in."
	case in(rules.SNIAddressMismatch, rules.UnknownSNI):
		return "The edge is identified by its names: traffic under another name, or to another address, is not the documented connection and may be data leaving the site."
	case in(rules.ServerCertificateExpired, rules.ServerCertificateNotYetValid, rules.ServerCertificateSelfSigned, rules.ServerCertificateNameMismatch):
		return "Clients that check certificates will refuse the server; clients that do not can be deceived by an impostor."
	case in(rules.SMB1, rules.SMB2Unsigned, rules.SMBAnonymous, rules.SMBGuest, rules.NTLMv1):
		return "What is stored there can be read, or changed on the way, more easily than its owner expects."
	case in(rules.SMBAuthFailed):
		return "Whatever uses this account does not work; many failures in a row may be somebody guessing passwords."
	case in(rules.LargeSegmentsLost):
		return "Small transfers get through; large ones, such as backups, stall and are abandoned."
	case in(rules.InboundToDynamicPort):
		return "The document allows it for some services and does not say which: no firewall rule can be derived from it."
	}
	switch f.Kind {
	case rules.Violation:
		return "The connection is documented, but is not protected or used as the document requires."
	case rules.Undocumented:
		return "A firewall with the documented rules alone would stop it: either something does not belong there, or the documentation is incomplete."
	case rules.Blocked:
		return "A documented connection does not get through: what the product uses it for does not work, or only after retries."
	case rules.Indeterminate:
		return "Whether the connection is as documented is not known: it can hide a violation."
	}
	return "It does not change the verdict, but it weakens the connection."
}
