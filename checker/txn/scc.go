package txn

// components finds the strongly connected components of a graph with nodes 0 to n-1, by Tarjan's algorithm (1972) with its recursion
// unrolled. next gives the i-th successor of a node, and false when there are no more; a negative successor is skipped. Components
// are numbered in reverse topological order: edges lead to the same or to a smaller number.
func components(n int, next func(node int32, i uint32) (int32, bool)) (component []int32, count int32) {
	component = make([]int32, n)
	low := make([]int32, n) // 0: not visited
	cursor := make([]uint32, n)
	var path, stack []int32
	var visited int32
	for root := range component {
		if low[root] != 0 {
			continue
		}
		visit := func(v int32) {
			visited++
			low[v] = visited
			component[v] = -visited // until the component is known: the order of the visit
			path, stack = append(path, v), append(stack, v)
		}
		visit(int32(root))
		for len(path) > 0 {
			v := path[len(path)-1]
			w, more := next(v, cursor[v])
			cursor[v]++
			switch {
			case !more:
				path = path[:len(path)-1]
				if len(path) > 0 {
					parent := path[len(path)-1]
					low[parent] = min(low[parent], low[v])
				}
				if low[v] != -component[v] {
					continue
				}
				for done := false; !done; {
					top := stack[len(stack)-1]
					stack = stack[:len(stack)-1]
					component[top], done = count, top == v
				}
				count++
			case w < 0:
			case low[w] == 0:
				visit(w)
			case component[w] < 0: // still on the stack
				low[v] = min(low[v], -component[w])
			}
		}
	}
	return component, count
}
