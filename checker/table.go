package checker

// table numbers values as they come.
type table[V comparable] struct {
	ids    map[V]int32
	values []V
}

func (t *table[V]) id(v V) int32 {
	if id, ok := t.ids[v]; ok {
		return id
	}
	if t.ids == nil {
		t.ids = make(map[V]int32)
	}
	id := int32(len(t.values))
	t.ids[v] = id
	t.values = append(t.values, v)
	return id
}
