// Tarn is a schema-aware, Kafka-compatible broker with a lake inside.
package main

func main() {}
