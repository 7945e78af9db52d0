package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

type profileCmd struct {
	List   profileListCmd   `cmd:"" help:"List profiles."`
	Show   profileShowCmd   `cmd:"" help:"Show what a profile says."`
	Set    profileSetCmd    `cmd:"" help:"Make a profile, or change it."`
	Use    profileUseCmd    `cmd:"" help:"Say which profile commands use that name no broker."`
	Delete profileDeleteCmd `cmd:"" help:"Delete profiles."`
}

type profileListCmd struct{ outputFlag }

// Run lists them.
func (c *profileListCmd) Run(std stdio) error {
	all, err := readProfiles()
	if err != nil {
		return err
	}
	s := sheet{Columns: []string{"PROFILE", "CURRENT", "BROKERS", "HTTP", "USER"}}
	for _, name := range slices.Sorted(maps.Keys(all.Profiles)) {
		p := all.Profiles[name]
		s.add(name, name == all.Current, p["brokers"], p["http"], p["user"])
	}
	return s.write(std.out, c.Output)
}

type profileShowCmd struct {
	outputFlag
	Name string `arg:"" optional:"" help:"Profile; the current one if none is named."`
}

// Run shows one; secrets that stand in the file are not shown.
func (c *profileShowCmd) Run(std stdio) error {
	all, err := readProfiles()
	if err != nil {
		return err
	}
	name := c.Name
	if name == "" {
		if name = all.Current; name == "" {
			return fmt.Errorf("no profile is current: name one, or choose one with tarn profile use NAME")
		}
	}
	p, err := all.find(name)
	if err != nil {
		return err
	}
	s := sheet{Columns: []string{"KEY", "VALUE"}}
	for _, key := range slices.Sorted(maps.Keys(p)) {
		value := p[key]
		if (key == "password" || key == "token") && !strings.Contains(value, "${") {
			value = notShown
		}
		s.add(key, value)
	}
	return s.write(std.out, c.Output)
}

type profileSetCmd struct {
	outputFlag
	Name   string   `arg:"" help:"Profile; one that is not there is made."`
	Values []string `arg:"" name:"key=value" help:"Flags of commands that talk to a broker, without hyphens: brokers, http, data, user, password, token, sasl, tls, tls-ca…; KEY= without value takes it away. ${env:NAME} and ${file:PATH} are looked up when they are used."`
}

// Validate implements kong's hook: what is wrong here is wrong usage.
func (c *profileSetCmd) Validate() error {
	values, err := keyValues(c.Values)
	if err != nil {
		return fmt.Errorf("profile %q: %w", c.Name, err)
	}
	if c.Name == "" || c.Name == noProfile {
		return fmt.Errorf("a profile cannot be called %q", c.Name)
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if err := checkProfileKey(key); err != nil {
			return err
		}
	}
	return nil
}

// Run writes the profile.
func (c *profileSetCmd) Run(std stdio) error {
	values, err := keyValues(c.Values)
	if err != nil {
		return err
	}
	all, err := readProfiles()
	if err != nil {
		return err
	}
	p := all.Profiles[c.Name]
	if p == nil {
		p = map[string]string{}
		all.Profiles[c.Name] = p
	}
	for key, value := range values {
		if p[key] = value; value == "" {
			delete(p, key)
		}
	}
	if err := all.write(); err != nil {
		return err
	}
	text := c.Name + " set"
	if all.Current != c.Name {
		text += "; commands use it with --profile " + c.Name + ", or always after tarn profile use " + c.Name
	}
	return c.say(std, map[string]any{"profile": c.Name, "status": "set"}, text)
}

// noProfile is the name that stands for none.
const noProfile = "-"

type profileUseCmd struct {
	outputFlag
	Name string `arg:"" help:"Profile; - for none."`
}

// Run makes a profile the current one.
func (c *profileUseCmd) Run(std stdio) error {
	all, err := readProfiles()
	if err != nil {
		return err
	}
	text := "no profile is current now"
	if all.Current = ""; c.Name != noProfile {
		if _, err := all.find(c.Name); err != nil {
			return err
		}
		all.Current, text = c.Name, c.Name+" is current now"
	}
	if err := all.write(); err != nil {
		return err
	}
	return c.say(std, map[string]any{"profile": all.Current, "status": "current"}, text)
}

type profileDeleteCmd struct {
	outputFlag
	Names []string `arg:"" name:"name" help:"Profiles."`
}

// Run deletes them, all or none.
func (c *profileDeleteCmd) Run(std stdio) error {
	all, err := readProfiles()
	if err != nil {
		return err
	}
	s := sheet{Columns: []string{"PROFILE", "STATUS"}}
	for _, name := range c.Names {
		if _, err := all.find(name); err != nil {
			return err
		}
		if delete(all.Profiles, name); all.Current == name {
			all.Current = ""
		}
		s.add(name, "deleted")
	}
	if err := all.write(); err != nil {
		return err
	}
	return s.write(std.out, c.Output)
}
