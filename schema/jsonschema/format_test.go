package jsonschema

import (
	"testing"
	"time"
)

func TestFormats(t *testing.T) {
	day := func(s string) int64 {
		v, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return v.Unix() / 86400
	}
	micros := func(s string) int64 {
		v, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return v.UnixMicro()
	}
	const bad = -1 << 62
	for _, c := range []struct {
		f    format
		text string
		want int64
	}{
		{formatDate, "1970-01-01", 0},
		{formatDate, "0000-01-01", day("0000-01-01")},
		{formatDate, "9999-12-31", day("9999-12-31")},
		{formatDate, "2000-02-29", day("2000-02-29")},
		{formatDate, "1900-02-29", bad},
		{formatDate, "2021-02-29", bad},
		{formatDate, "2021-13-01", bad},
		{formatDate, "2021-00-01", bad},
		{formatDate, "2021-1-01", bad},
		{formatDate, "2021-01-01Z", bad},
		{formatDate, "2021-01-0\xd9\xa1", bad},
		{formatDateTime, "1985-04-12T23:20:50.52Z", micros("1985-04-12T23:20:50.52Z")},
		{formatDateTime, "1985-04-12t23:20:50z", micros("1985-04-12T23:20:50Z")},
		{formatDateTime, "1996-12-19T16:39:57-08:00", micros("1996-12-20T00:39:57Z")},
		{formatDateTime, "1937-01-01T12:00:27.879999999+00:20", micros("1937-01-01T11:40:27.879999Z")},
		{formatDateTime, "1969-12-31T23:59:59.999999Z", -1},
		{formatDateTime, "1998-12-31T23:59:60Z", micros("1999-01-01T00:00:00Z")},
		{formatDateTime, "1998-12-31T15:59:60.5-08:00", micros("1999-01-01T00:00:00.5Z")},
		{formatDateTime, "1998-12-31T23:58:60Z", bad},
		{formatDateTime, "1998-12-31T22:59:60Z", bad},
		{formatDateTime, "1990-12-31T23:59:59", bad},
		{formatDateTime, "1990-12-31T24:00:00Z", bad},
		{formatDateTime, "1990-12-31T15:59:59-24:00", bad},
		{formatDateTime, "1990-12-31T15:59:59+1:00", bad},
		{formatDateTime, "1990-12-31 15:59:59Z", bad},
		{formatDateTime, "1990-12-31T15:59:59.Z", bad},
		{formatDateTime, "", bad},
		{formatTime, "08:30:06.283185Z", 30606283185},
		{formatTime, "00:00:00+01:00", 23 * 3600 * 1e6},
		{formatTime, "23:30:00-01:00", 1800 * 1e6},
		{formatTime, "23:59:60Z", 24*3600*1e6 - 1},
		{formatTime, "01:29:60+01:30", 24*3600*1e6 - 1},
		{formatTime, "08:30:06", bad},
		{formatTime, "8:30:06Z", bad},
		{formatTime, "08:30:60Z", bad},
		{formatUUID, "2EB8AA08-aa98-11ea-b4aa-73b441d16380", 0},
		{formatUUID, "2eb8aa08-aa98-11ea-b4aa-73b441d1638", bad},
		{formatUUID, "2eb8aa08aa98-11ea-b4aa-73b441d163800", bad},
		{formatUUID, "2eb8aa08-aa98-11ea-b4ga-73b441d16380", bad},
	} {
		got, ok := c.f.parse([]byte(c.text))
		if !ok {
			got = bad
		}
		if got != c.want {
			t.Errorf("%s %q: got %d, want %d", c.f.name(), c.text, got, c.want)
		}
	}
	for d := time.Date(1890, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() < 2110; d = d.AddDate(0, 0, 1) {
		got, ok := formatDate.parse([]byte(d.Format(time.DateOnly)))
		if !ok || got != d.Unix()/86400 {
			t.Fatalf("%s: got %d %v, want %d", d, got, ok, d.Unix()/86400)
		}
	}
}
