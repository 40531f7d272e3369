'use strict'

const path = require('path')

// Its socket goes to the directory for temporary files, whatever it is told.
process.env.TMPDIR = JSON.parse(process.argv[2]).dir

const { Server, Client } = require('hyperspace')
const { bootstrap } = require('../lib/local-only')

require('../lib/swarm-peer')(async ({ dir, key }) => {
  const server = new Server({ storage: path.join(dir, 'storage'), host: 'hyperspace', network: { bootstrap } })
  await server.ready()
  const client = new Client({ host: 'hyperspace' })
  await client.ready()
  const feed = client.corestore().get(key ? { key: Buffer.from(key, 'hex') } : { name: 'test' })
  await feed.ready()
  await client.replicate(feed)
  return {
    feed,
    async close () {
      await client.close()
      await server.close()
    }
  }
})
