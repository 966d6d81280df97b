// A page of somebody else's, on another port of this machine: another origin, but the same site, so
// that a browser sends our cookie along with whatever it makes it send.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export class Stranger {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<Stranger> {
    const server = createServer((request, answer) => {
      answer.setHeader('content-type', 'text/html; charset=utf-8');
      answer.end('<!doctype html><link rel="icon" href="data:," /><title>Elsewhere</title>');
      request.resume();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Stranger(server);
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo; // it listens on TCP
    return `http://127.0.0.1:${port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
