'use strict'

// TCP connections of a stock peer, and what happens to them.

const net = require('net')
const crypto = require('crypto')
const { emit } = require('./lines')

exports.Connections = class Connections {
  constructor (adapter, options, feeds) {
    this.adapter = adapter
    this.options = options
    this.feeds = feeds
    this.open = new Map()
    this.allowed = new Set(options.allow || [])
    this.denied = new Set(options.deny || [])
    this.streamExtensions = new Set()
    this.next = 1
    this.stay = false
  }

  listen (port) {
    return new Promise((resolve, reject) => {
      const server = net.createServer(socket => this.attachSocket(socket, false, null))
      server.once('error', reject)
      server.listen(port, '127.0.0.1', () => {
        const address = '127.0.0.1:' + server.address().port
        emit('listening', { address })
        resolve({ address })
      })
    })
  }

  connect (to) {
    this.stay = false
    const at = to.lastIndexOf(':')
    this.attachSocket(net.connect(Number(to.slice(at + 1)), to.slice(0, at)), true, to)
    return {}
  }

  attachSocket (socket, initiator, to) {
    const connection = this.next++
    const stream = this.adapter.replicate([...this.feeds.values()], initiator, {
      ...this.options,
      authenticate: key => this.authenticate(connection, key)
    })
    const entry = { socket, stream, initiator }
    this.open.set(connection, entry)
    socket.setNoDelay(true)
    socket.on('connect', () => emit('connect', { connection }))
    if (!initiator) emit('connection', { connection })

    let error = null
    let closed = false
    const closing = err => {
      if (err && !error) error = err.message
      if (closed) return
      closed = true
      this.open.delete(connection)
      if (error) socket.destroy()
      else socket.end()
      stream.destroy()
      emit('close', { connection, error })
      if (to && this.options.reconnectMs && !this.stay) {
        setTimeout(() => { if (!this.stay) this.connect(to) }, this.options.reconnectMs)
      }
    }
    this.adapter.onhandshake(stream, fields => emit('handshake', { connection, ...fields }))
    this.adapter.onstreamextensions(stream, names => emit('stream-extensions', { connection, names }))
    for (const name of this.streamExtensions) this.registerOn(connection, stream, name)
    stream.on('ack', ({ start, length }) => emit('ack', { connection, start, length }))
    stream.on('end', () => emit('end', { connection }))
    stream.on('error', err => { error = error || err.message; closing(err) })
    socket.on('error', err => { error = error || err.message })
    stream.on('close', () => closing(null))
    socket.on('close', () => closing(null))
    socket.pipe(stream).pipe(socket)
  }

  authenticate (connection, key) {
    const accepted = !this.denied.has(key) && (!this.allowed.size || this.allowed.has(key))
    emit('authenticate', { connection, key, accepted })
    return accepted
  }

  attach (name) {
    for (const { stream, initiator } of this.open.values()) {
      this.adapter.attach(this.feeds.get(name), initiator, stream, this.options)
    }
  }

  registerExtension (name) {
    this.streamExtensions.add(name)
    for (const [connection, { stream }] of this.open) this.registerOn(connection, stream, name)
    return {}
  }

  registerOn (connection, stream, name) {
    this.adapter.registerStreamExtension(stream, name, payload => {
      const hash = crypto.createHash('blake2b512').update(payload).digest('hex')
      emit('stream-extension', { connection, name, size: payload.length, hash, data: payload.toString('base64') })
    })
  }

  sendExtension (name, payload) {
    for (const { stream } of this.open.values()) this.adapter.sendStreamExtension(stream, name, payload)
    return { sent: this.open.size }
  }

  allow (key) {
    this.denied.delete(key)
    this.allowed.add(key)
    return {}
  }

  deny (key) {
    this.allowed.delete(key)
    this.denied.add(key)
    return {}
  }

  close (stay) {
    this.stay = stay
    const count = this.open.size
    for (const { socket } of this.open.values()) socket.destroy()
    return { closed: count }
  }

  pause () {
    for (const { socket, stream } of this.open.values()) {
      socket.unpipe(stream)
      socket.pause()
    }
    return {}
  }

  resume () {
    for (const { socket, stream } of this.open.values()) socket.pipe(stream)
    return {}
  }

  describe () {
    return [...this.open].map(([connection, { initiator, socket }]) => ({
      connection,
      initiator,
      bytesRead: socket.bytesRead,
      bytesWritten: socket.bytesWritten
    }))
  }
}
