package rules

// Reason is why a verdict is what it is, or what a concern is about: one of a
// closed list, by its snake_case name.
type Reason uint8
