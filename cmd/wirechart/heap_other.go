//go:build !linux

package main

// reserveHeap would ask for huge pages, which only Linux takes advice on.
func reserveHeap() {}
