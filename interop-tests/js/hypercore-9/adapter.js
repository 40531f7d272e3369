'use strict'

// What differs between the generations: hypercore 9 over hypercore-protocol 8 (wire B2).

const hypercore = require('hypercore')
const Protocol = require('hypercore-protocol')
const ram = require('random-access-memory')
const crypto = require('hypercore-crypto')

exports.generation = 'hypercore-9'
exports.versions = {
  hypercore: require('hypercore/package.json').version,
  'hypercore-protocol': require('hypercore-protocol/package.json').version
}

// The Noise keys of this process, one for each seed (and one without a seed).
const noiseKeys = new Map()

function noiseKeyPair ({ noiseSeed }) {
  if (!noiseKeys.has(noiseSeed)) {
    noiseKeys.set(noiseSeed, Protocol.keyPair(noiseSeed && Buffer.from(noiseSeed, 'hex')))
  }
  return noiseKeys.get(noiseSeed)
}

exports.noiseKey = options => noiseKeyPair(options).publicKey.toString('hex')

exports.createFeed = function createFeed ({ dir, key, seed, sparse }, options) {
  const pair = seed ? crypto.keyPair(Buffer.from(seed, 'hex')) : null
  return hypercore(dir || (() => ram()), pair ? pair.publicKey : key, {
    secretKey: pair && pair.secretKey,
    sparse: !!sparse,
    noiseKeyPair: noiseKeyPair(options)
  })
}

exports.replicate = function replicate (feeds, initiator, options) {
  const { live = true, timeoutMs, ack, encrypt = true } = options
  const stream = feeds[0].replicate(initiator, {
    live,
    ack,
    timeout: timeoutMs,
    ...(encrypt ? {} : { encrypted: false, noise: false }),
    onauthenticate: (key, done) => {
      done(options.authenticate(key.toString('hex')) ? null : new Error('Noise key denied'))
    }
  })
  for (const feed of feeds.slice(1)) exports.attach(feed, initiator, stream, options)
  return stream
}

exports.attach = function attach (feed, initiator, stream, { live = true, ack }) {
  feed.replicate(initiator, { live, ack, stream })
}

exports.onhandshake = function onhandshake (stream, cb) {
  stream.on('handshake', () => cb({ remoteKey: stream.remotePublicKey && stream.remotePublicKey.toString('hex') }))
}

exports.onextension = function onextension (feed, names, cb) {
  for (const name of names) exports.registerExtension(feed, name, payload => cb(name, payload))
}

exports.registerExtension = function registerExtension (feed, name, onmessage) {
  feed.registerExtension(name, { encoding: 'binary', onmessage })
}

exports.sendExtension = function sendExtension (feed, name, payload) {
  feed.extensions.get(name).broadcast(payload)
}

exports.onstreamextensions = (stream, cb) => stream.on('extensions', cb)

exports.registerStreamExtension = function registerStreamExtension (stream, name, onmessage) {
  stream.registerExtension(name, { encoding: 'binary', onmessage })
}

exports.sendStreamExtension = function sendStreamExtension (stream, name, payload) {
  stream.extensions.get(name).send(payload)
}
