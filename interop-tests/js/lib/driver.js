'use strict'

// Runs a stock peer as a process of its own and talks to it.

const { spawn } = require('child_process')
const { read } = require('./lines')

exports.Peer = class Peer {
  constructor (script, options) {
    this.child = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.next = 1
    this.waiting = new Map()
    this.seen = new Map()
    this.exited = new Promise(resolve => this.child.on('exit', resolve))
    read(this.child.stdout, message => this.receive(message), () => {})
  }

  receive (message) {
    if (message.event !== 'reply') {
      if (message.fatal) throw new Error(message.error)
      const { promise, resolve } = this.slot(message.event)
      resolve(message)
      return promise
    }
    const { resolve, reject } = this.waiting.get(message.id)
    this.waiting.delete(message.id)
    if (message.error) reject(new Error(message.error))
    else resolve(message)
  }

  slot (event) {
    if (!this.seen.has(event)) {
      const slot = {}
      slot.promise = new Promise(resolve => { slot.resolve = resolve })
      this.seen.set(event, slot)
    }
    return this.seen.get(event)
  }

  // The first event of that name, whenever it came or comes.
  first (event) {
    return this.slot(event).promise
  }

  command (cmd, fields) {
    const id = this.next++
    this.child.stdin.write(JSON.stringify({ id, cmd, ...fields }) + '\n')
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }))
  }

  async quit () {
    await this.command('quit')
    await this.exited
  }
}
