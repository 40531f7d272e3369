'use strict'

// The web server and the DNS of one name: node name-server.js '{"name", "address", "file", "record", "cert", "key"}'.

const dgram = require('dgram')
const https = require('https')
const packet = require('dns-packet')
const options = JSON.parse(process.argv[2])

const dns = dgram.createSocket('udp4')
dns.on('message', (message, from) => {
  const query = packet.decode(message)
  const [question] = query.questions
  const answers = []
  if (question.name.toLowerCase() === options.name) {
    const about = { type: question.type, name: question.name, class: 'IN', ttl: 0 }
    if (question.type === 'A') answers.push({ ...about, data: options.address })
    if (question.type === 'TXT' && options.record) answers.push({ ...about, data: Buffer.from(options.record) })
  }
  const flags = packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE
  const reply = packet.encode({ type: 'response', id: query.id, flags, questions: query.questions, answers })
  dns.send(reply, from.port, from.address)
})

const web = https.createServer({ cert: options.cert, key: options.key }, (request, response) => {
  const isIt = request.url === '/.well-known/dat' && request.headers.host === options.name
  response.writeHead(isIt && options.file ? 200 : 404)
  response.end(options.file)
})

dns.bind(53, () => web.listen(443, () => console.log(JSON.stringify({ event: 'listening' }))))
