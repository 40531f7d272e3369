'use strict'

// Runs a stock peer that finds others by itself: one plain feed, no address.
//
// Options (JSON, first argument): dir, key (of somebody else's feed; without it an own one is made), bootstrap (of the DHT).
// Commands on standard input: append {blocks: [base64]}, get {index}, quit. Events: ready {key, length}, append {length},
// reply {id, ...}.

const { emit, read } = require('./lines')

module.exports = async function run (open) {
  const options = JSON.parse(process.argv[2] || '{}')
  const { feed, close } = await open(options)
  await call(feed, 'ready')
  const onappend = () => emit('append', { length: feed.length })
  feed.on('append', onappend)
  const commands = {
    async append ({ blocks }) {
      await call(feed, 'append', blocks.map(block => Buffer.from(block, 'base64')))
      return { length: feed.length }
    },
    async get ({ index }) {
      // hyperspace asks only the peers it has, if not told otherwise, and fails when the first one is still to come.
      const block = await call(feed, 'get', index, { ifAvailable: false })
      return { data: Buffer.from(block).toString('base64') }
    },
    async quit () {
      await close()
      return {}
    }
  }
  read(process.stdin, async ({ id, cmd, ...fields }) => {
    try {
      emit('reply', { id, ...await commands[cmd](fields) })
    } catch (err) {
      emit('reply', { id, error: err.message })
    }
    if (cmd === 'quit') process.exit(0)
  }, () => process.exit(0))
  emit('ready', { key: Buffer.from(feed.key).toString('hex'), length: feed.length })
}

// Some of these feeds take callbacks, some return promises, some do both.
function call (feed, method, ...args) {
  return new Promise((resolve, reject) => {
    const result = feed[method](...args, (err, value) => err ? reject(err) : resolve(value))
    if (result && typeof result.then === 'function') result.then(resolve, reject)
  })
}
