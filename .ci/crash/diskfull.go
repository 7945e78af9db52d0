package main

import "context"

func diskFull(ctx context.Context, o options, dir string, t *tally) error { return nil }
