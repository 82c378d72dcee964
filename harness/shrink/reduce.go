package shrink

import "slices"

// Reduce leaves items out as long as a predicate still holds of what is left, and returns that, in its order. The predicate holds of all items, and is
// asked only of fewer, never of none. It tries large pieces first, then smaller ones; if the predicate answers the same for the same items, then in the
// end no single item can be left out. It is delta debugging (Zeller and Hildebrandt, IEEE TSE 2002) without its tests of single pieces.
func Reduce[T any](items []T, still func(fewer []T) bool) []T {
	for piece := max(1, len(items)/2); ; piece = max(1, min(piece, len(items))/2) {
		left := withoutPieces(items, piece, still)
		if piece == 1 && len(left) == len(items) {
			return left
		}
		items = left // what was needed for one that is gone may be needed no more
	}
}

// withoutPieces leaves each piece out that can be, from the last to the first: what comes late depends on what comes early.
func withoutPieces[T any](items []T, piece int, still func([]T) bool) []T {
	for end := len(items); end > 0; end -= piece {
		fewer := slices.Concat(items[:max(0, end-piece)], items[end:])
		if len(fewer) > 0 && still(fewer) {
			items = fewer
		}
	}
	return items
}
