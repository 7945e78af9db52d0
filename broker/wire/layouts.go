package wire

// layoutTexts are the bodies of requests by key, as far as lengths go: of all
// that are served, and of authentication and transactions, which will be. Who
// adds an API to the table of versions adds its layout here; a test fills kmsg's
// structures for each key and version and compares. The notation is compile's:
//
//	c int8, bool   h int16   i int32   l int64   u uuid   s string   b bytes
//	[ … ] array of structures   (x) array of x   { … } nullable structure
//	<n … > structure in tag n
//
// Never written to.
var layoutTexts = map[int16]string{
	0:  "s3+ h i [ s-12 u13+ [ i b ] ]",
	1:  "i-14 i i i3+ c4+ i7+ i7+ [ s-12 u13+ [ i i9+ l i12+ l5+ i ] ] [ s-12 u13+ (i) ]7+ s11+ <1 i l >15+",
	2:  "i c2+ [ s [ i i4+ l i-0 ] ] i10+",
	3:  "[ u10+ s ] c4+ c8-10 c8+",
	8:  "s i1+ s1+ s7+ l2-4 [ s-9 u10+ [ i l l1-1 i6+ s ] ]",
	9:  "s-7 [ s (i) ]-7 [ s s9+ i9+ [ s-9 u10+ (i) ] ]8+ c7+",
	10: "s-3 c1+ (s)4+",
	11: "s i i1+ s s5+ s [ s b ] s8+",
	12: "s i s s3+",
	13: "s s-2 [ s s s5+ ]3+",
	14: "s i s s3+ s5+ s5+ [ s b ]",
	15: "(s) c3+",
	16: "(s)4+ (s)5+",
	17: "s",
	18: "s3+ s3+ s5+ i5+",
	19: "[ s i h [ i (i) ] [ s s ] ] i c1+",
	20: "[ s u ]6+ (s)-5 i",
	21: "[ s [ i l ] ] i",
	22: "s i l3+ h3+",
	23: "i3+ [ s [ i i2+ i ] ]",
	24: "s-3 l-3 h-3 [ s (i) ]-3 [ s l h c [ s (i) ] ]4+",
	25: "s l h s",
	26: "s l h c",
	27: "[ l h c [ s (i) ] i c2+ ]",
	28: "s s l h i3+ s3+ s3+ [ s-5 u6+ [ i l i2+ s ] ]",
	32: "[ c s (s) ] c1+ c3+",
	33: "[ c s [ s s ] ] c",
	34: "[ s [ s (i) ] ]",
	35: "[ s (i) ]",
	36: "b",
	37: "[ s i [ (i) ] ] i c",
	38: "s3+ s3+ [ s s ] l",
	39: "b l",
	40: "b l",
	41: "[ s s ]",
	42: "(s)",
	43: "c1+ [ s (i) ] i",
	44: "[ c s [ s c s ] ] c",
	45: "i c1+ [ s [ i (i) ] ]",
	46: "i [ s (i) ]",
	47: "s [ s [ i ] ]",
	48: "[ s c s ] c",
	49: "[ [ s s ] [ s l c ] ] c",
	50: "[ s ]",
	51: "[ s c ] [ s c i b b ]",
	57: "i [ s h c-0 c1+ ] c1+",
	60: "c c1+ c2+",
	61: "[ s (i) ]",
	65: "(s)",
	66: "(s) (l) l1+ s2+",
	68: "s s i s s i (s) s1+ s [ u (i) ]",
	69: "(s) c",
	74: "(c)1+",
	75: "[ s ] i { s i }",
}
