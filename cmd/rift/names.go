package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/mattn/go-isatty"

	"rift/nemesis"
)

// nearest suggests the allowed name that the given one was probably meant to be, as the end of a sentence.
func nearest(given string, allowed []string) string {
	best, distance := "", max(len(given)/3, 2)+1
	for _, name := range allowed {
		if d := levenshtein.ComputeDistance(given, name); d < distance {
			best, distance = name, d
		}
	}
	all := "; allowed: " + strings.Join(allowed, ", ")
	if best == "" {
		return all
	}
	return fmt.Sprintf("; did you mean %q?%s", best, strings.TrimPrefix(all, ";"))
}

// named finds a thing by its name, or says which name was probably meant.
func named[T any](field, given string, all []T, name func(T) string) (T, error) {
	var names []string
	for _, x := range all {
		if name(x) == given {
			return x, nil
		}
		names = append(names, name(x))
	}
	var none T
	return none, usagef("%s: %q given%s", field, given, nearest(given, names))
}

// withNearest adds a suggestion to each error of a name that nothing goes by.
func withNearest(err error) error {
	several, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return usageError{suggesting(err)}
	}
	var all []error
	for _, one := range several.Unwrap() {
		all = append(all, suggesting(one))
	}
	return usageError{errors.Join(all...)}
}

// suggesting is an error with a suggestion in place of the list of names that are allowed.
func suggesting(err error) error {
	var unknown nemesis.UnknownError
	if !errors.As(err, &unknown) {
		return err
	}
	better := fmt.Sprintf("%s: %q given%s", unknown.Field, unknown.Given, nearest(unknown.Given, unknown.Allowed))
	if unknown.Or != "" {
		better += ", or " + unknown.Or
	}
	return errors.New(strings.Replace(err.Error(), unknown.Error(), better, 1))
}

func isTerminal(f *os.File) bool { return isatty.IsTerminal(f.Fd()) }
