'use strict'

// A DHT of the nodes that hyperswarm 2 comes with, for a private network: node dht-nodes.js '{"address"}'. Nodes listen on
// ports from 49737.

const dht = require('@hyperswarm/dht')
const { emit, read } = require('../lib/lines')

const { address } = JSON.parse(process.argv[2])
const NODES = 5

let missing = NODES
for (let number = 0; number < NODES; number++) {
  const node = dht({ bootstrap: number ? [`${address}:49737`] : [] })
  node.on('announce', (target, { host, port }) => emit('announced', { host, port, topic: target.toString('hex') }))
  node.on('unannounce', (target, { host, port }) => emit('unannounced', { host, port, topic: target.toString('hex') }))
  node.listen(49737 + number, () => node.ready(() => {
    if (--missing === 0) emit('listening', {})
  }))
}
read(process.stdin, () => {}, () => process.exit(0))
