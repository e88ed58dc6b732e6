// Package rules answers whether flows match the documented diagram.
//
// A Diagram (diagram.go) is data: components, the edges between them, what each
// edge requires, and where each statement comes from. Compile makes a Policy of
// it. Roles (roles.go) are inferred from all flows together: who answers where
// with what, who calls whom. When they are settled, Judge gives each flow a
// Verdict, and a Tally folds the verdicts into the Audit that report prints:
// components, the state of every edge, findings.
//
// A conclusion travels with its evidence: a Verdict has the edge and the
// reasons, a reason has its frame, a role has what it was inferred from.
package rules
