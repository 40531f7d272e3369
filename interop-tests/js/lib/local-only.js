'use strict'

// Nodes of the hyperswarm DHT to begin with: those that the test names, and never the public ones. Without any, what is left
// is the local network.
exports.bootstrap = JSON.parse(process.argv[2] || '{}').bootstrap || []
