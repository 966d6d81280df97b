// Language and theme, chosen by whoever looks. Native controls: they work everywhere at once.

import { useChooseLanguage } from '../auth/accountLanguage';
import { LANGUAGE_NAMES, LANGUAGES, useLanguage, useTexts } from '../i18n/language';
import { MODES, useTheme } from '../theme/theme';
import { frameTexts } from './texts';

export function Choices() {
  const t = useTexts(frameTexts);
  const { language } = useLanguage();
  const choose = useChooseLanguage();
  const theme = useTheme();
  return (
    <div className="choices">
      <select
        aria-label={t.language}
        value={language}
        onChange={(event) => {
          const wanted = LANGUAGES.find((one) => one === event.target.value);
          if (wanted) choose(wanted);
        }}
      >
        {LANGUAGES.map((one) => (
          <option key={one} value={one} lang={one}>
            {LANGUAGE_NAMES[one]}
          </option>
        ))}
      </select>
      <select
        aria-label={t.theme}
        value={theme.mode}
        onChange={(event) => {
          const wanted = MODES.find((one) => one === event.target.value);
          if (wanted) theme.choose(wanted);
        }}
      >
        {MODES.map((one) => (
          <option key={one} value={one}>
            {t[one]}
          </option>
        ))}
      </select>
    </div>
  );
}
