//go:build !linux

package main

import "errors"

type disk struct {
	dir, what string
	wrap      []string
}

func newDisk(string) (*disk, error) {
	return nil, errors.New("-disk-full needs Linux")
}

func (d *disk) load() error    { return nil }
func (d *disk) free(int) error { return nil }
func (d *disk) refill(int)     {}
func (d *disk) close()         {}
