// Package web shows an audit as a page in a browser: the drawing of what was
// observed, with its edges lighting up as flows come, the flows behind each edge
// and host, their evidence, and every report to download.
//
// Everything on the page is in this program: no library, no font, nothing from
// outside, and its content security policy enforces that. It is served to this
// machine alone, or to those who have the token. Requests under a foreign name
// (Host) or from other sites are refused, so that no other page can read it
// through the visitor's browser.
//
// web.go serves the requests, page.go renders the page as it stands when it is
// requested, flows.go holds the flows and searches them, and assets has the page
// and the script that keeps it up to date.
package web

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"wirechart/report"
	"wirechart/rules"
)

//go:embed assets
var assets embed.FS

// Options is what a Server needs.
type Options struct {
	// Token is asked of everyone where it is not empty: once, as ?token=, then as
	// a cookie.
	Token string
	// Hosts are the names under which the page may be asked for, beside addresses
	// of this machine's loopback and, with a Token, every address.
	Hosts []string
	// Live says that audits are looks at a run that goes on: each comes with the
	// flows at hand (Pending), and what is settled is no longer among them.
	Live bool
	// Title is what is looked at: the names of captures or interfaces.
	Title string
	// Diagram is drawn as long as there is no audit; nil draws nothing then.
	Diagram *rules.Diagram

	// Explain writes the story of a flow as text; Evidence its frames as a
	// capture. Both are nil where the packets cannot be read again.
	Explain  func(ctx context.Context, w io.Writer, flow uint64) error
	Evidence func(ctx context.Context, w io.Writer, flow uint64) error
	// Provenance says how an audit was made; nil where that is not known.
	Provenance func(a *rules.Audit) *report.Provenance
}

// Server serves one page. Flows and audits may come while it does.
type Server struct {
	o    Options
	mux  *http.ServeMux
	html *template.Template

	mu       sync.RWMutex
	flows    store
	audit    *rules.Audit
	report   *report.Options
	version  uint64 // of audit
	packets  uint64
	finished bool

	streams chan struct{} // a place for each page that listens
	heavy   chan struct{} // and for each that reads captures again
}

const (
	maxStreams = 32
	tick       = 250 * time.Millisecond // between two messages to a page
)

// New makes a Server.
func New(o Options) *Server {
	s := &Server{o: o, mux: http.NewServeMux(), html: template.Must(template.ParseFS(assets, "assets/index.html")), streams: make(chan struct{}, maxStreams), heavy: make(chan struct{}, 1), flows: newStore()}
	s.mux.HandleFunc("GET /{$}", s.page)
	s.mux.HandleFunc("GET /page.js", s.asset("page.js", "text/javascript; charset=utf-8"))
	s.mux.HandleFunc("GET /page.css", s.asset("page.css", "text/css; charset=utf-8"))
	s.mux.HandleFunc("GET /noscript.css", s.asset("noscript.css", "text/css; charset=utf-8"))
	s.mux.HandleFunc("GET /drawing.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		_, _ = io.WriteString(w, report.DrawingStyle())
	})
	s.mux.HandleFunc("GET /api/flows", s.list)
	s.mux.HandleFunc("GET /api/events", s.events)
	s.mux.HandleFunc("GET /api/explain", s.explain)
	s.mux.HandleFunc("GET /evidence", s.evidence)
	s.mux.HandleFunc("GET /report", s.download)
	return s
}

// NewToken is a token that nobody guesses.
func NewToken() string {
	b := make([]byte, 24)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// Loopback says whether an address to listen on is reached from this machine
// alone.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// Serve answers on l until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); ctx.Err() == nil {
		return err
	}
	return nil
}

// ServeHTTP lets in who may come in.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	switch site := r.Header.Get("Sec-Fetch-Site"); {
	case !s.named(r.Host):
		http.Error(w, "this page is not served under that name", http.StatusForbidden)
		return
	case r.URL.Path != "/" && site != "" && site != "same-origin" && site != "none":
		http.Error(w, "asked for by another site", http.StatusForbidden)
		return
	}
	if s.o.Token != "" {
		if given := r.URL.Query().Get("token"); given != "" && r.URL.Path == "/" {
			if !s.right(given) {
				http.Error(w, "the token is not right", http.StatusForbidden)
				return
			}
			http.SetCookie(w, &http.Cookie{Name: s.cookie(r.Host), Value: given, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return
		}
		if c, err := r.Cookie(s.cookie(r.Host)); err != nil || !s.right(c.Value) {
			http.Error(w, "the token that wirechart printed is missing: /?token=...", http.StatusForbidden)
			return
		}
	}
	s.mux.ServeHTTP(w, r)
}

// cookie names the cookie by the port: cookies do not know of ports, and two
// pages on one machine would take each other's.
func (s *Server) cookie(host string) string {
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		port = "80"
	}
	return "wirechart-" + port
}

func (s *Server) right(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(s.o.Token)) == 1
}

// named says whether a page may be asked for under a Host. A name that is not
// known may be one that somebody lets point here, to read the page as theirs (DNS
// rebinding).
func (s *Server) named(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.Unmap().IsLoopback() || s.o.Token != ""
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	for _, known := range s.o.Hosts {
		if strings.EqualFold(name, known) {
			return true
		}
	}
	return false
}

func (s *Server) asset(name, kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		b, err := assets.ReadFile("assets/" + name)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(b)
	}
}

func writeJSON(w http.ResponseWriter, doc any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(doc) // the other end may have gone
}

// events tells a page what changed, as server-sent events: how many flows each
// edge has, and when there is another audit.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Time{})
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	last, idle := "", 0
	for {
		s.mu.RLock()
		doc := struct {
			Version  uint64            `json:"version"`
			Packets  uint64            `json:"packets"`
			Finished bool              `json:"finished"`
			Flows    int               `json:"flows"`
			Edges    map[string]uint64 `json:"edges"`
		}{s.version, s.packets, s.finished, s.flows.len(), s.flows.byEdge()}
		s.mu.RUnlock()
		b, err := json.Marshal(doc)
		if err != nil {
			return
		}
		message := ""
		switch idle++; {
		case string(b) != last:
			message, last, idle = "data: "+string(b)+"\n\n", string(b), 0
		case idle%60 == 0:
			message = ": still there\n\n"
		}
		if message != "" {
			_ = out.SetWriteDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.WriteString(w, message); err != nil || out.Flush() != nil {
				return
			}
		}
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
		}
	}
}

// again runs what reads captures again, one at a time.
func (s *Server) again(w http.ResponseWriter, r *http.Request, kind, name string, do func(context.Context, io.Writer, uint64) error) {
	id, err := strconv.ParseUint(r.URL.Query().Get("flow"), 10, 64)
	if err != nil || do == nil {
		http.Error(w, "no such flow, or its packets cannot be read again", http.StatusNotFound)
		return
	}
	select {
	case s.heavy <- struct{}{}:
		defer func() { <-s.heavy }()
	case <-r.Context().Done():
		return
	}
	var b strings.Builder
	if err := do(r.Context(), &b, id); err != nil {
		http.Error(w, report.Clean(err.Error()), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", kind)
	if name != "" {
		w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", fmt.Sprintf(name, id)))
	}
	_, _ = io.WriteString(w, b.String())
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	s.again(w, r, "text/plain; charset=utf-8", "", s.o.Explain)
}

func (s *Server) evidence(w http.ResponseWriter, r *http.Request) {
	s.again(w, r, "application/octet-stream", "evidence-flow-%d.pcapng", s.o.Evidence)
}

// extensions of reports whose format's name is none.
func extension(format string) string {
	switch format {
	case "table", "wide":
		return "txt"
	case "markdown":
		return "md"
	case "mermaid":
		return "mmd"
	case "junit":
		return "xml"
	}
	return format
}

// download writes the audit in a format.
func (s *Server) download(w http.ResponseWriter, r *http.Request) {
	format, ok := report.Named(r.URL.Query().Get("format"))
	s.mu.RLock()
	a, o := s.audit, s.report
	s.mu.RUnlock()
	switch {
	case !ok || format.Audit == nil:
		http.Error(w, "no such format", http.StatusNotFound)
		return
	case a == nil:
		http.Error(w, "nothing has been judged yet", http.StatusServiceUnavailable)
		return
	}
	options := *o
	options.Width, options.Color = 100, false
	if format.Detailed && s.o.Provenance != nil {
		options.Provenance = s.o.Provenance(a)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", "audit."+extension(format.Name)))
	_ = format.Audit(w, a, &options)
}
