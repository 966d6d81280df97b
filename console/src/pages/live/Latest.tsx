// The latest charges, as they came.

import { Link } from 'react-router';
import { pageUrl } from '../../api/urls';
import { useLanguage, useTexts } from '../../i18n/language';
import { formatCount } from '../../ui/numbers';
import { PlainTable } from '../../ui/PlainTable';
import { Points } from '../../ui/Points';
import { Time } from '../../ui/Time';
import { ChargeState, useSourceName } from '../charges/columns';
import { chargeTexts } from '../charges/texts';
import type { Charge } from './feed';

export function Latest({ charges }: { readonly charges: readonly Charge[] }) {
  const t = useTexts(chargeTexts);
  const { language } = useLanguage();
  const nameOf = useSourceName();
  return (
    <div className="scrolled">
      <PlainTable>
        <thead>
          <tr>
            <th scope="col">{t.when}</th>
            <th scope="col">{t.user}</th>
            <th scope="col">{t.model}</th>
            <th scope="col" className="end">
              {t.tokens}
            </th>
            <th scope="col" className="end">
              {t.points}
            </th>
            <th scope="col">{t.state}</th>
            <th scope="col">{t.source}</th>
          </tr>
        </thead>
        <tbody>
          {charges.map((charge) => (
            <tr key={charge.id}>
              <td>
                <Link to={pageUrl('charges', { charge: charge.id })}>
                  <Time at={charge.received_at} withSeconds />
                </Link>
              </td>
              <td>{charge.user_id}</td>
              <td>{charge.model}</td>
              <td className="end number">{formatCount(charge.total_tokens, language)}</td>
              <td className="end">
                <Points micros={charge.points_micros} />
              </td>
              <td>
                <ChargeState state={charge.state} />
              </td>
              <td>{nameOf(charge.source)}</td>
            </tr>
          ))}
        </tbody>
      </PlainTable>
    </div>
  );
}
