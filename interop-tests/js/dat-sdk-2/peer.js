'use strict'

const SDK = require('dat-sdk')
const { bootstrap } = require('../lib/local-only')

require('../lib/swarm-peer')(async ({ dir, key }) => {
  const sdk = await SDK({ storage: dir, swarmOpts: { bootstrap } })
  return { feed: sdk.Hypercore(key || 'test'), close: () => new Promise(resolve => sdk.close(resolve)) }
})
