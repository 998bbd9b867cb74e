// Package brokertest runs real servers: RabbitMQ and PostgreSQL from Debian's packages,
// and nats-server. Each listens on loopback and keeps everything in its own directory.
// A test that started one can stop it, freeze it and start it again. It fails if a
// server isn't installed, and says which package is missing.
package brokertest
