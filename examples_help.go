package main

import (
	"strings"

	"github.com/alecthomas/kong"
)

// helpExamples are the examples of commands whose Help method has none, by path. A
// test holds that every command has one, and that each is a command line that parses.
func helpExamples() map[string]string {
	return map[string]string{
		"serve": `tarn
tarn serve --data /var/lib/tarn --kafka.listen 0.0.0.0:9092 --insecure-listen
tarn serve --storage memory:// --kafka.listen 127.0.0.1:0 --http.listen 127.0.0.1:0 --ready-json`,
		"topic create": `tarn topic create orders -p 3 -c tarn.table.formats=iceberg,delta,parquet
tarn topic create users -c cleanup.policy=compact --if-not-exists`,
		"topic alter": `tarn topic alter orders -c retention.ms=86400000 -c tarn.schema.on.invalid=dlq
tarn topic alter orders -c retention.ms= -p 6        # back to the default; more partitions`,
		"topic size":            `tarn topic size orders`,
		"topic redrive":         `tarn topic redrive orders --dry-run`,
		"group list":            `tarn group list`,
		"group config describe": `tarn group config describe workers --all`,
		"group config set":      `tarn group config set workers -c share.isolation.level=read_committed -c share.record.lock.duration.ms=`,
		"config print":          `tarn config print --with-source`,
		"config lint":           `tarn config lint tarn.yaml`,
		"config describe":       `tarn config describe --all --docs`,
		"config alter": `tarn config alter -c log.retention.ms=86400000 --dry-run
tarn config alter -c max.connections=500 -c num.partitions=`,
		"generate grafana": `tarn generate grafana > tarn-dashboard.json`,
		"generate alerts":  `tarn generate alerts > /etc/prometheus/rules/tarn.yaml`,
		"config schema":    `tarn config schema > tarn.schema.json`,
		"profile list":     `tarn profile list`,
		"profile show":     `tarn profile show prod`,
		"profile set":      `tarn profile set prod brokers=kafka.example.org:9092 http=https://tarn.example.org user=ann tls=true 'password=${env:PROD_PASSWORD}'`,
		"profile use": `tarn profile use prod
tarn profile use -        # none`,
		"profile delete":  `tarn profile delete prod`,
		"group forget":    `tarn group forget billing orders`,
		"group delete":    `tarn group delete billing shipping --dry-run`,
		"schema register": `tarn schema register orders-value order.avsc`,
		"schema list":     `tarn schema list`,
		"schema get":      `tarn schema get orders-value --version 2`,
		"schema check": `tarn schema check orders-value new.avsc
tarn schema check orders-value new.avsc --level TABLE --output json`,
		"schema describe": `tarn schema describe orders`,
		"schema diff":     `tarn schema diff orders-value 1 2`,
		"schema infer":    `tarn schema infer clicks > clicks.json`,
		"schema delete":   `tarn schema delete orders-value --version 1 --dry-run`,
		"schema report":   `tarn schema report orders`,
		"schema level": `tarn schema level
tarn schema level orders-value --set FULL_TRANSITIVE`,
		"apply": `tarn apply -f shop.yaml --check
tarn apply -f shop.yaml --dry-run
tarn apply -f shop.yaml`,
		"rejections": `tarn rejections orders -f
tarn rejections orders --output json`,
		"table list":           `tarn table list`,
		"table status":         `tarn table status orders --snippets`,
		"table wait":           `tarn table wait orders --partition 0 --offset 41`,
		"table flush":          `tarn table flush orders`,
		"table verify":         `tarn table verify orders`,
		"table explain":        `tarn table explain orders`,
		"table rebuild":        `tarn table rebuild orders`,
		"table redrive":        `tarn table redrive orders`,
		"table files":          `tarn table files orders --output csv`,
		"table history":        `tarn table history orders`,
		"table compact":        `tarn table compact orders`,
		"table expire":         `tarn table expire orders`,
		"user create":          `echo secret | tarn user create ann`,
		"user list":            `tarn user list`,
		"user delete":          `tarn user delete ann`,
		"token create":         `tarn token create --max 24h --user ann`,
		"token list":           `tarn token list --owner ann`,
		"token renew":          `tarn token renew 3f2a --for 12h`,
		"token expire":         `tarn token expire 3f2a`,
		"acl create":           `tarn acl create --principal ann --operation read --operation describe --topic shop. --prefix`,
		"acl list":             `tarn acl list --topic orders --pattern match`,
		"acl delete":           `tarn acl delete --principal ann --topic orders --dry-run`,
		"quota list":           `tarn quota list`,
		"quota set":            `tarn quota set --for-user ann producer_byte_rate=1000000 consumer_byte_rate=`,
		"txn list":             `tarn txn list`,
		"txn describe":         `tarn txn describe payments-1`,
		"txn producers":        `tarn txn producers orders`,
		"txn abort":            `tarn txn abort payments-1`,
		"client list":          `tarn client list`,
		"client metrics":       `tarn client metrics --client checkout`,
		"client subscribe":     `tarn client subscribe producers --metrics org.apache.kafka.producer. --interval 30s`,
		"client unsubscribe":   `tarn client unsubscribe producers`,
		"client subscriptions": `tarn client subscriptions`,
		"listener list":        `tarn listener list`,
		"listener advertise":   `tarn listener advertise EXTERNAL://broker.example.org:9093`,
		"version":              `tarn version`,
		"log-level":            `tarn log-level debug --for 5m`,
		"healthcheck":          `tarn healthcheck --http http://127.0.0.1:8081`,
		"backup":               `tarn backup tarn-2026-01-31.db`,
		"restore": `tarn restore tarn-2026-01-31.db --to ./restored
tarn restore /mnt/replica --to ./restored --at 5m --dry-run`,
		"replicate": `tarn replicate /mnt/replica
tarn replicate 's3://backups/tarn?region=eu-central-1' --retention 72h`,
		"completion": `tarn completion bash > /etc/bash_completion.d/tarn
tarn completion zsh > ~/.zfunc/_tarn
tarn completion fish > ~/.config/fish/completions/tarn.fish`,
		"man": `tarn man /usr/local/share/man/man1
tarn man --markdown > CLI.md`,
	}
}

// exampleHead stands before the examples of a command that has nothing else to say.
const exampleHead = "For example:"

// withExamples puts examples into the help of commands.
func withExamples(app *kong.Application) {
	all := helpExamples()
	for _, n := range app.Leaves(false) {
		text, ok := all[commandPath(n)]
		if !ok {
			continue
		}
		before := n.Detail
		if before == "" {
			before = exampleHead // what is indented keeps its lines only behind prose
		}
		n.Detail = before + "\n\n  " + strings.ReplaceAll(text, "\n", "\n  ")
	}
}

// examplesOf are the command lines in a command's help: what is indented there.
func examplesOf(detail string) []string {
	var out []string
	for line := range strings.Lines(detail) {
		if text, indented := strings.CutPrefix(line, "  "); indented && strings.Contains(text, "tarn") {
			out = append(out, strings.TrimSpace(text))
		}
	}
	return out
}
