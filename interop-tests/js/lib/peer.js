'use strict'

// A stock peer that a test drives. `node peer.js OPTIONS` takes one JSON object; commands come as
// newline-delimited JSON on standard input, events leave the same way on standard output.
//
// Options, each may be left out:
//   feeds: [FEED]            several feeds on each connection; without it the FEED fields stand at the top
//     FEED: name ("main"), dir (absent = memory), key (hex), seed (hex: key pair), sparse, extensions [name]
//   live (true), listen (port, 0 = any), connect ("host:port"), reconnectMs, timeoutMs (0 = none),
//   noiseSeed (hex), allow / deny ([hex]: Noise keys, hypercore 9), blockEvents, encrypt (true), ack
//
// A command is {id, cmd, feed?, ...}; its answer {event: "reply", id, ...} or {event: "reply", id, error}.

const crypto = require('crypto')
const { emit, nowMs, read } = require('./lines')
const { block, blocks } = require('./blocks')
const { Connections } = require('./connections')

module.exports = function run (adapter, options) {
  const peer = new StockPeer(adapter, options)
  process.on('uncaughtException', err => {
    emit('error', { error: String((err && err.stack) || err), fatal: true })
    process.exit(1)
  })
  read(process.stdin, command => peer.command(command), () => process.exit(0))
  peer.start().catch(err => {
    emit('error', { error: err.message, fatal: true })
    process.exitCode = 1
    process.stdin.destroy()
  })
}

class StockPeer {
  constructor (adapter, options) {
    this.adapter = adapter
    this.options = options
    this.feeds = new Map()
    this.connections = new Connections(adapter, options, this.feeds)
  }

  async start () {
    for (const each of this.options.feeds || [this.options]) await this.open(each)
    if (this.options.listen !== undefined) await this.connections.listen(this.options.listen)
    if (this.options.connect) this.connections.connect(this.options.connect)
    emit('ready', { versions: this.adapter.versions, noiseKey: this.adapter.noiseKey(this.options) })
  }

  async open (spec) {
    const name = spec.name || 'main'
    const feed = this.adapter.createFeed(spec, this.options)
    feed.on('error', err => emit('error', { feed: name, error: err.message }))
    await new Promise((resolve, reject) => {
      feed.once('error', reject)
      feed.ready(err => err ? reject(err) : resolve())
    })
    this.feeds.set(name, feed)
    feed.on('append', () => emit('append', { feed: name, length: feed.length }))
    feed.on('sync', () => emit('sync', { feed: name, length: feed.length }))
    feed.on('remote-update', () => emit('remote-update', { feed: name, remoteLength: feed.remoteLength }))
    feed.on('close', () => emit('feed-close', { feed: name }))
    if (this.options.blockEvents) {
      feed.on('download', (index, data) => emit('download', { feed: name, index, size: data.length }))
      feed.on('upload', (index, data) => emit('upload', { feed: name, index, size: data.length }))
    }
    this.adapter.onextension(feed, spec.extensions || [], (extension, payload) => {
      emit('extension', { feed: name, name: extension, ...describe(payload) })
    })
    emit('feed', { feed: name, ...identity(feed) })
  }

  async command (command) {
    try {
      const handler = commands[command.cmd]
      if (!handler) throw new Error('unknown command ' + command.cmd)
      const name = command.feed || 'main'
      const feed = this.feeds.get(name)
      if (!feed && command.cmd !== 'open') throw new Error('no feed ' + name)
      emit('reply', { id: command.id, ...await handler(this, feed, command) })
      if (command.cmd === 'quit') process.exit(0)
    } catch (err) {
      emit('reply', { id: command.id, error: err.message })
    }
  }
}

const commands = {
  // blocks: [base64], or count, size, seed with `batch` blocks to a call (1 = one after another)
  async append (peer, feed, { blocks: given, count, size, seed = 1, batch = 1000 }) {
    const all = given ? given.map(b => Buffer.from(b, 'base64')) : blocks(seed, feed.length, count, size)
    const start = nowMs()
    if (given || batch >= all.length) {
      await call(feed, 'append', all)
    } else {
      for (let at = 0; at < all.length; at += batch) {
        await call(feed, 'append', batch === 1 ? all[at] : all.slice(at, at + batch))
      }
    }
    return { length: feed.length, ms: nowMs() - start }
  },
  // One append every gapMs; answers when each of them began.
  async 'append-live' (peer, feed, { count, size, seed = 1, gapMs }) {
    const at = []
    for (let i = 0; i < count; i++) {
      const value = block(seed, feed.length, size)
      at.push(nowMs())
      await call(feed, 'append', value)
      await sleep(gapMs)
    }
    return { at }
  },
  // Waits for one block after another; answers when each of them was here.
  async 'get-live' (peer, feed, { start, count }) {
    const at = []
    for (let i = 0; i < count; i++) {
      await call(feed, 'get', start + i)
      at.push(nowMs())
    }
    return { at }
  },
  async get (peer, feed, { index, timeout = 0, wait = true, ifAvailable = false }) {
    return describe(await call(feed, 'get', index, { timeout, wait, ifAvailable }))
  },
  // Hash over the blocks of a range, each after its length (u32le); the range must be here.
  async checksum (peer, feed, { start = 0, end = feed.length }) {
    const hash = crypto.createHash('blake2b512')
    let bytes = 0
    for (let i = start; i < end; i++) {
      const value = await call(feed, 'get', i, { wait: false })
      const length = Buffer.alloc(4)
      length.writeUInt32LE(value.length)
      hash.update(length).update(value)
      bytes += value.length
    }
    return { hash: hash.digest('hex'), bytes, blocks: end - start }
  },
  async download (peer, feed, { start, end, linear }) {
    const at = nowMs()
    await call(feed, 'download', { start, end, linear })
    return { ms: nowMs() - at }
  },
  async clear (peer, feed, { start, end }) {
    await call(feed, 'clear', start, end)
    return {}
  },
  has: async (peer, feed, { index }) => ({ has: feed.has(index) }),
  // Whether a connected peer says that it has the block and this feed lacks it.
  'remote-has': async (peer, feed, { index }) => ({ has: feed.peers.some(p => p.remoteBitfield.get(index)) }),
  async update (peer, feed, { minLength, ifAvailable = false }) {
    await call(feed, 'update', { ...(minLength === undefined ? {} : { minLength }), ifAvailable })
    return { length: feed.length }
  },
  async signature (peer, feed, { index }) {
    const { index: at, signature } = await call(feed, 'signature', index)
    return { index: at, signature: signature.toString('hex') }
  },
  async seek (peer, feed, { bytes }) {
    return new Promise((resolve, reject) => {
      feed.seek(bytes, (err, index, offset) => err ? reject(err) : resolve({ index, offset }))
    })
  },
  // Connects, and answers when `count` blocks have come.
  async 'measure-clone' (peer, feed, { connect, count }) {
    let left = count
    const start = nowMs()
    const done = new Promise(resolve => feed.on('download', () => { if (--left === 0) resolve() }))
    peer.connections.connect(connect)
    await done
    return { ms: nowMs() - start, rssBytes: process.memoryUsage().rss }
  },
  async info (peer, feed) {
    return {
      ...identity(feed),
      downloaded: feed.downloaded(0, feed.length),
      remoteLength: feed.remoteLength,
      peers: feed.peers.length,
      stats: feed.stats.totals,
      connections: peer.connections.describe(),
      rssBytes: process.memoryUsage().rss
    }
  },
  async 'register-extension' (peer, feed, { name, feed: feedName = 'main' }) {
    peer.adapter.registerExtension(feed, name, payload => {
      emit('extension', { feed: feedName, name, ...describe(payload) })
    })
    return {}
  },
  // payload: base64, or size and seed
  async 'send-extension' (peer, feed, { name, payload, size, seed = 1 }) {
    peer.adapter.sendExtension(feed, name, payload ? Buffer.from(payload, 'base64') : block(seed, 0, size))
    return {}
  },
  'register-stream-extension': async (peer, feed, { name }) => peer.connections.registerExtension(name),
  async 'send-stream-extension' (peer, feed, { name, payload, size, seed = 1 }) {
    return peer.connections.sendExtension(name, payload ? Buffer.from(payload, 'base64') : block(seed, 0, size))
  },
  allow: async (peer, feed, { key }) => peer.connections.allow(key),
  deny: async (peer, feed, { key }) => peer.connections.deny(key),
  listen: async (peer, feed, { port = 0 }) => peer.connections.listen(port),
  connect: async (peer, feed, { to }) => peer.connections.connect(to),
  'close-stream': async (peer, feed, { stay = true }) => peer.connections.close(stay),
  // Stops reading from the sockets: a peer that is there and says nothing.
  pause: async peer => peer.connections.pause(),
  resume: async peer => peer.connections.resume(),
  async open (peer, feed, { spec }) {
    await peer.open(spec)
    peer.connections.attach(spec.name)
    return {}
  },
  async quit (peer) {
    peer.connections.close(true)
    for (const feed of peer.feeds.values()) await call(feed, 'close')
    return {}
  }
}

function identity (feed) {
  return {
    key: feed.key.toString('hex'),
    discoveryKey: feed.discoveryKey.toString('hex'),
    length: feed.length,
    byteLength: feed.byteLength,
    writable: feed.writable
  }
}

function describe (bytes) {
  const hash = crypto.createHash('blake2b512').update(bytes).digest('hex')
  return { size: bytes.length, hash, data: Buffer.from(bytes).toString('base64') }
}

function call (feed, method, ...args) {
  return new Promise((resolve, reject) => {
    feed[method](...args, (err, value) => err ? reject(err) : resolve(value))
  })
}

function sleep (ms) {
  return new Promise(resolve => setTimeout(resolve, ms))
}
