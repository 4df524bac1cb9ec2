import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'

const load = (text: string, env = {}) => {
  const cwd = mkdtempSync(join(tmpdir(), 'evt-alerts-'))
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }))
  writeFileSync(join(cwd, 'evt.config.yaml'), text)
  return loadConfig({ cwd, env, flags: {} })
}

it('reads alerts and how often they are looked at', async () => {
  const rule =
    'alerts: [{ name: burst, when: { count: "login.failed", atLeast: 5, within: 1m, by: user }, to: [log] }]\n'
  const config = await load(`${rule}monitoringInterval: 2s\n`)
  expect(config.get('alerts').value).toEqual([
    { name: 'burst', when: { count: 'login.failed', atLeast: 5, within: '1m', by: 'user' }, to: ['log'] },
  ])
  expect(config.get('monitoringIntervalMs').value).toBe(2_000)
  expect((await load('', { EVENT_MONITORING_INTERVAL: '30' })).get('monitoringIntervalMs').value).toBe(30_000)
  expect((await load('', { EVT_ALERTS: 'off' })).get('alerts').value.every(({ off }) => off)).toBe(true)
})

it.each([
  ['alerts: [{ name: a, when: "handler.lag > 1" }]', /alert a: its when is wrong/],
  ['alerts: [{ name: a, when: "dead.open > 1", too: [log] }]', /too/],
])('refuses %s', async (text, says) => {
  await expect(load(text)).rejects.toThrow(says)
})

it('refuses a variable that is no list', async () => {
  await expect(load('', { EVT_ALERTS: 'dead.open > 1' })).rejects.toThrow('cannot use EVT_ALERTS')
})
