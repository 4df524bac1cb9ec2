import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'

const lowest = 15_000

/**
 * Free loopback ports below those that the system gives to outgoing connections: from there, a client that tries again and
 * again while its server is down would take the server's port for itself, or connect to itself.
 */
export async function freeServerPorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < count) {
    const port = lowest + Math.floor(Math.random() * (highest() - lowest))
    if (!ports.has(port) && (await isFree(port))) ports.add(port)
  }
  return [...ports]
}

function highest(): number {
  try {
    const [from] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s/)
    return Math.max(Number(from), lowest + 1_000)
  } catch {
    // Elsewhere than on Linux the system gives from 49152 on.
    return 49_152
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
