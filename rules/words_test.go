package rules

import "testing"

func TestSentence(t *testing.T) {
	for phrase, want := range map[string]string{
		"": "", "no host was found": "No host was found.", "is it the firewall?": "Is it the firewall?", "Done.": "Done.", "10.0.0.1 answers": "10.0.0.1 answers.",
	} {
		if got := Sentence(phrase); got != want {
			t.Errorf("%q: %q, want %q", phrase, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for ns, want := range map[int64]string{
		900: "1µs", 44_000: "44µs", 1_500_000: "1.5ms", 12_345_678: "12.3ms", 413_698_000: "414ms", 5_640_000_000: "5.6s", 310e9: "5m10s", 2531e9: "42m11s", 93_784e9: "1d2h3m",
	} {
		if got := Span(ns); got != want {
			t.Errorf("%d: %s, want %s", ns, got, want)
		}
	}
}
