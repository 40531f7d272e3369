'use strict'

// A DNS-discovery server of dat 13, for a private network.

const discovery = require('dns-discovery')
const { emit, read } = require('../lib/lines')

const server = discovery({ multicast: false, domain: 'dat.local' })
server.on('peer', (id, { host, port }) => emit('announced', { id, host, port }))
server.listen(5300, () => emit('listening', { versions: { 'dns-discovery': require('dns-discovery/package.json').version } }))
read(process.stdin, () => {}, () => process.exit(0))
