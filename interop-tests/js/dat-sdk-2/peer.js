'use strict'

const SDK = require('dat-sdk')
const { block } = require('../lib/local-only')

require('../lib/swarm-peer')(async ({ dir, key }) => {
  const sdk = await SDK({ storage: dir, swarmOpts: { bootstrap: block } })
  return { feed: sdk.Hypercore(key || 'test'), close: () => new Promise(resolve => sdk.close(resolve)) }
})
