import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A certificate for 127.0.0.1 and localhost that signs itself: whoever trusts `ca` trusts the server. Files in PEM. */
export interface Certificate {
  readonly certFile: string
  readonly keyFile: string
  /** Key and certificate in one file. */
  readonly bothFile: string
  /** The text of the certificate, for the client's `ca`. */
  readonly ca: string
}

export function makeCertificate(directory: string): Certificate {
  const [certFile, keyFile, bothFile] = ['server.crt', 'server.key', 'server.pem'].map((name) => join(directory, name))
  if (!certFile || !keyFile || !bothFile) throw new Error('unreachable')
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-keyout', keyFile]
  execFileSync('openssl', ['req', '-x509', ...key, '-out', certFile, '-days', '2', ...subject], { stdio: 'ignore' })
  const ca = readFileSync(certFile, 'utf8')
  writeFileSync(bothFile, `${readFileSync(keyFile, 'utf8')}${ca}`, { mode: 0o600 })
  return { certFile, keyFile, bothFile, ca }
}
