package history

import (
	"hash/fnv"
	"math/rand/v2"
)

// Rand gives the random stream of that name under a seed. Every consumer has a stream of its own, so that one
// which draws more does not change what the others draw.
func Rand(seed int64, stream string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(stream))
	return rand.New(rand.NewPCG(uint64(seed), h.Sum64()))
}
