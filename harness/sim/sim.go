// Package sim is a world in which a cluster runs from one integer: virtual time, a simulated network, simulated disks and clocks, and in them the nodes'
// own program, compiled for WebAssembly.
//
// The one idea behind it is that a program which is single-threaded, and whose every contact with its surroundings is a call to the world, cannot do but
// one thing. Go's port to WASI is such a program: its clock, its randomness (that of select, of maps, of math/rand and crypto/rand alike), its files and its
// waiting are calls of wasi_snapshot_preview1, which this package answers from the seed. So the node that is simulated is the node, byte for byte, with no
// clock or random source to be handed down and no "if simulated" in it; package guest brings the one thing that the port lacks, the network.
//
// One guest runs at a time, until it waits. Between turns the world goes to the next event: a segment that arrives, an alarm, a client's time, a fault.
// Events of the same instant come in an order that the seed draws.
package sim
