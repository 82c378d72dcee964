package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// nearest suggests the allowed name that the given one was probably meant to be, as the end of a sentence.
func nearest(given string, allowed []string) string {
	best, distance := "", len(given)/2+2
	for _, name := range allowed {
		if d := levenshtein.ComputeDistance(given, name); d < distance {
			best, distance = name, d
		}
	}
	all := "allowed: " + strings.Join(allowed, ", ")
	if best == "" {
		return "; " + all
	}
	return fmt.Sprintf("; did you mean %q? %s", best, all)
}

// without returns the names that are not among the given ones.
func without(names, given []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(given, name) })
}
