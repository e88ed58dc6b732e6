package rules

import "wirechart/flows"

func (p *Policy) addConcerns(f *flows.Flow, v *Verdict) {}
