'use strict'

// A BitTorrent DHT of the nodes that dat 13 comes with, for a private network, and the names that stock clients begin with:
// node dht-nodes.js '{"address"}'. Nodes listen on ports from 6881.

const dgram = require('dgram')
const DHT = require('bittorrent-dht')
const packet = require('dns-packet')
const { emit, read } = require('../lib/lines')

const { address } = JSON.parse(process.argv[2])
const NODES = 5
const NAMES = /^bootstrap\d\.(datprotocol\.com|hyperdht\.org)$/

const dns = dgram.createSocket('udp4')
dns.on('message', (message, from) => {
  const query = packet.decode(message)
  const [question] = query.questions
  const isIt = question.type === 'A' && NAMES.test(question.name.toLowerCase())
  const answers = isIt ? [{ type: 'A', name: question.name, class: 'IN', ttl: 0, data: address }] : []
  const flags = packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE
  dns.send(packet.encode({ type: 'response', id: query.id, flags, questions: query.questions, answers }), from.port, from.address)
})

let missing = NODES
for (let number = 0; number < NODES; number++) {
  const node = new DHT({ bootstrap: number ? `${address}:6881` : false })
  node.on('announce', (peer, hash) => emit('announced', { host: peer.host, port: peer.port, topic: hash.toString('hex') }))
  node.on('ready', () => {
    if (--missing === 0) dns.bind(53, () => emit('listening', {}))
  })
  node.listen(6881 + number)
}
read(process.stdin, () => {}, () => process.exit(0))
