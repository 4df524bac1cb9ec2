import { describe, expect, test } from 'vitest'
import { encodeEvent, fromHeaders, toHeaders } from '../../../src/core/codec.ts'
import type { EvtEvent } from '../../../src/core/event.ts'

const event: EvtEvent = {
  id: 'e1',
  type: 'user.created',
  version: 2,
  source: 'icons',
  time: '2025-08-23T10:00:00.000Z',
  subject: 'Jürgen "J" 100%',
  sequence: 7,
  priority: 'high',
  metadata: { region: 'eu', retries: 3, Mixed: 'x' },
  data: { plan: 'pro' },
}
const { dataText, ...encoded } = encodeEvent(event)
const headers = toHeaders(encoded)

describe('toHeaders', () => {
  test('writes every attribute under its CloudEvents name', () => {
    expect(headers).toEqual({
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-id': 'e1',
      'ce-type': 'user.created',
      'ce-source': 'icons',
      'ce-time': '2025-08-23T10:00:00.000Z',
      'ce-evtversion': '2',
      'ce-priority': 'high',
      'ce-subject': 'J%C3%BCrgen%20%22J%22%20100%25',
      'ce-sequence': '7',
      'ce-checksum': encoded.checksum,
      'ce-region': 'eu',
      'ce-evtmetadata': '{%22retries%22:3,%22Mixed%22:%22x%22}',
    })
  })

  test('does not touch data', () => {
    const untouchable = { ...encoded }
    Object.defineProperty(untouchable, 'data', { get: () => expect.unreachable('data was read') })
    expect(toHeaders(untouchable)).toEqual(headers)
  })
})

describe('fromHeaders', () => {
  test('ignores headers that are none of ours, however they look', () => {
    expect(fromHeaders({ ...headers, traceparent: '100%', 'x-a': '%zz' }, dataText)).toEqual(encoded)
  })

  test('reads quoted values as the HTTP binding asks', () => {
    expect(fromHeaders({ ...headers, 'ce-subject': '"a \\"b\\" %41"' }, dataText).subject).toBe('a "b" A')
  })

  test('parses data once, on first use, and shows it to spreading and comparing', () => {
    const decoded = fromHeaders(headers, dataText)
    expect(decoded.data).toBe(decoded.data)
    expect({ ...decoded }.data).toBe(decoded.data)
    expect(structuredClone(decoded)).toEqual(encoded)
    expect(JSON.parse(JSON.stringify(decoded))).toEqual(encoded)
  })

  test('reads its attributes even when data is no JSON; reading data then throws decode', () => {
    for (const body of ['{', '', Buffer.from([0xff, 0x22])]) {
      const decoded = fromHeaders(headers, body)
      expect(decoded.subject).toBe(event.subject)
      expect(() => decoded.data).toThrow(expect.objectContaining({ code: 'decode' }))
    }
  })

  test('keeps a body of another content type as text, or base64 when it is none', () => {
    const text = { ...headers, 'content-type': 'text/plain' }
    expect(fromHeaders(text, Buffer.from('hé')).data).toBe('hé')
    expect(fromHeaders(text, Buffer.from([0xff])).data).toBe('/w==')
    expect(fromHeaders(text, 'x').metadata.datacontenttype).toBe('text/plain')
    expect(fromHeaders({ ...headers, 'content-type': 'application/vnd.x+json; charset=utf-8' }, dataText).data).toEqual(
      event.data,
    )
  })

  test('notices one changed byte when asked to verify', () => {
    expect(fromHeaders(headers, dataText, { verify: true })).toEqual(encoded)
    const changed = dataText.replace('pro', 'prO')
    expect(fromHeaders(headers, changed).data).toEqual({ plan: 'prO' })
    expect(() => fromHeaders(headers, changed, { verify: true })).toThrow(expect.objectContaining({ code: 'checksum' }))
  })

  test.each([
    ['ce-id', '%ff'],
    ['ce-subject', '%'],
    ['ce-specversion', '0.3'],
    ['ce-time', 'noon'],
    ['ce-evtversion', 'x'],
  ])('refuses %s: %s with a decode error that names it', (name, value) => {
    expect(() => fromHeaders({ ...headers, [name]: value }, dataText)).toThrow(
      expect.objectContaining({ code: 'decode', message: expect.stringContaining(name) as string }),
    )
  })
})
