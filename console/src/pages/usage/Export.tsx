// Links to the usage as files. A link bears the session's cookie; who signed in with the admin token
// has none, and gets the file by a call that bears the token.

import { App } from 'antd';
import type { MouseEvent } from 'react';
import { caller, identity } from '../../api/client';
import { apiUrl } from '../../api/urls';
import { useTexts } from '../../i18n/language';
import { Panel } from '../../ui/Panel';
import { type Asked, filterOf } from './asked';
import { usageTexts } from './texts';

const FORMATS = ['csv', 'jsonl'] as const;

export function Export({ asked }: { readonly asked: Asked }) {
  const t = useTexts(usageTexts);
  const { message } = App.useApp();
  const pers = [
    ['use', t.perUse],
    ['token', t.perToken],
    ['user', t.perUser],
    ['team', t.perTeam],
  ] as const;
  const fetchInstead = (event: MouseEvent, address: string, name: string): void => {
    if (!caller.adminToken) return;
    event.preventDefault();
    void keep(address, name).then((isKept) => {
      if (!isKept) message.error(t.exportFailed);
    });
  };
  return (
    <Panel title={t.export}>
      <p className="muted">{t.exportHint}</p>
      <ul className="plain-list">
        {pers.map(([per, words]) => (
          <li key={per}>
            <span>{words}</span>
            <span className="links">
              {FORMATS.map((format) => {
                const query = { ...filterOf(asked), days: asked.days, per, format };
                const address = apiUrl('/api/usage/export', {}, query);
                const name = `usage-${per}.${format}`;
                return (
                  <a
                    key={format}
                    href={address}
                    download={name}
                    aria-label={`${words}: ${format.toUpperCase()}`}
                    onClick={(event) => {
                      fetchInstead(event, address, name);
                    }}
                  >
                    {format.toUpperCase()}
                  </a>
                );
              })}
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

async function keep(address: string, name: string): Promise<boolean> {
  try {
    const response = await fetch(address, { headers: identity() });
    if (!response.ok) return false;
    const local = URL.createObjectURL(await response.blob());
    const link = document.createElement('a');
    link.href = local;
    link.download = name;
    link.click();
    URL.revokeObjectURL(local);
    return true;
  } catch {
    return false;
  }
}
