// Routes that are known at the edge but not served there, each with why.

import type { Schemas } from '../../api/client';
import { useTexts } from '../../i18n/language';
import { Panel } from '../../ui/Panel';
import { PlainTable } from '../../ui/PlainTable';
import { edgeTexts } from './texts';

export function Withheld({ of: routes }: { readonly of: readonly Schemas['WithheldEdgeRoute'][] }) {
  const t = useTexts(edgeTexts);
  return (
    <Panel title={t.withheld}>
      <p className="muted">{t.withheldHint}</p>
      <div className="scrolled" tabIndex={0} role="region" aria-label={t.withheld}>
        <PlainTable>
          <thead>
            <tr>
              <th scope="col">{t.route}</th>
              <th scope="col">{t.why}</th>
            </tr>
          </thead>
          <tbody>
            {routes.map((one) => (
              <tr key={`${one.host ?? ''} ${one.path}`}>
                <th scope="row">
                  <code>
                    {one.host}
                    {one.path}
                  </code>
                </th>
                <td>{one.reason}</td>
              </tr>
            ))}
          </tbody>
        </PlainTable>
      </div>
    </Panel>
  );
}
