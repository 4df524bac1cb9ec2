import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parseHttpAddress, shownHttpAddress } from '../../src/config/http.ts'
import { loadConfig } from '../../src/config/load.ts'

function projectWith(text: string): string {
  const cwd = mkdtempSync(join(tmpdir(), 'evt-http-'))
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }))
  writeFileSync(join(cwd, 'evt.config.yaml'), text)
  return cwd
}
const file = 'http:\n  port: 9000\n  requireToken: true\n  rate: { requests: 10, window: 1s }\n'

describe('http in the configuration', () => {
  it.each([
    ['8080', { port: 8080 }, '127.0.0.1:8080'],
    ['0.0.0.0:80', { host: '0.0.0.0', port: 80 }, '0.0.0.0:80'],
    ['[::1]:8080', { host: '::1', port: 8080 }, '[::1]:8080'],
  ])('reads %s', (text, options, shown) => {
    expect(parseHttpAddress(text)).toEqual(options)
    expect(shownHttpAddress(options)).toBe(shown)
  })

  it.each(['', 'http', '70000', 'host:', ':80', '::1:80', 'http://x:80'])("refuses '%s'", (text) => {
    expect(() => parseHttpAddress(text)).toThrow('no port and no host:port')
  })

  it('keeps what a file says about tokens when a flag names another port', async () => {
    const cwd = projectWith(file)
    const flags = { http: { text: '9001', flag: '--http' } }
    const config = await loadConfig({ cwd, env: { EVT_HTTP: '0.0.0.0:9002' }, flags })
    expect(config.get('http')).toEqual({
      value: { port: 9001, host: '0.0.0.0', requireToken: true, rate: { requests: 10, window: '1s' } },
      origin: '--http',
    })
  })

  it.each([
    ['http:\n  prot: 80\n', 'prot'],
    ['http:\n  heartbeat: soon\n', 'http.heartbeat: it is no time'],
    ['http:\n  tls: { cert: a.pem }\n', 'http.tls.key'],
  ])('refuses %j', async (text, says) => {
    await expect(loadConfig({ cwd: projectWith(text), env: {}, flags: {} })).rejects.toThrow(says)
  })
})
