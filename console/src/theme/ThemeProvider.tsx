// Applies the chosen theme to the document and to Ant Design, and follows the system's.

import { App, ConfigProvider, theme, type ThemeConfig } from 'antd';
import type { Locale } from 'antd/es/locale';
import { type ReactNode, useEffect, useMemo, useState } from 'react';
import { facts } from '../facts';
import { keep, kept } from './kept';
import { type Mode, MODES, ThemeContext } from './theme';

const SHARED = {
  borderRadius: 8,
  fontFamily:
    'Inter, system-ui, -apple-system, "Segoe UI", Roboto, "PingFang SC", "PingFang TC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif',
  fontSize: 14,
  wireframe: false,
};

const LIGHT: ThemeConfig = {
  token: {
    ...SHARED,
    colorPrimary: '#0f766e',
    colorInfo: '#0f766e',
    colorInfoBg: '#e2f0ee', // what is worked out of the colour is a dull grey
    colorInfoBorder: '#b9e0da',
    colorLink: '#0f766e',
    colorError: '#b42318',
    colorSuccess: '#15803d',
    colorWarning: '#b45309',
    colorTextBase: '#1c2526',
    colorTextDescription: '#5b6b6c',
    colorTextPlaceholder: '#677778',
    colorBorder: '#c9d4d3',
    colorBorderSecondary: '#dde5e4',
    colorBgLayout: '#f5f8f7',
    // What is chosen; the algorithm would make it of the text's colour, a dark grey.
    controlItemBgActive: '#e0f0ee',
    controlItemBgActiveHover: '#d3e9e6',
  },
  components: {
    Button: { primaryShadow: 'none', defaultShadow: 'none', dangerShadow: 'none' },
    Form: { itemMarginBottom: 16 },
  },
};

const DARK: ThemeConfig = {
  algorithm: theme.darkAlgorithm,
  token: {
    ...SHARED,
    colorPrimary: '#2dd4bf',
    colorInfo: '#2dd4bf',
    colorLink: '#5eead4',
    colorError: '#f97066',
    colorTextBase: '#e6eeed',
    colorTextDescription: '#9aacab',
    colorTextPlaceholder: '#8b9d9c',
    colorBorder: '#3a4a4a',
    colorBorderSecondary: '#2a3737',
    colorBgBase: '#151d1e',
    colorBgContainer: '#151d1e',
    colorBgElevated: '#1c2728',
    colorBgLayout: '#0e1415',
    colorTextLightSolid: '#04211e',
  },
  components: {
    Button: { primaryShadow: 'none', defaultShadow: 'none', dangerShadow: 'none' },
    Form: { itemMarginBottom: 16 },
    Tooltip: { colorTextLightSolid: '#e6eeed' },
  },
};

/** Whether the system wishes so, and again whenever it changes its mind. */
function useSystemWish(wish: string): boolean {
  const [isWished, setIsWished] = useState(() => matchMedia(wish).matches);
  useEffect(() => {
    const wished = matchMedia(wish);
    const heed = () => {
      setIsWished(wished.matches);
    };
    wished.addEventListener('change', heed);
    return () => {
      wished.removeEventListener('change', heed);
    };
  }, [wish]);
  return isWished;
}

function useAntdTheme(isDark: boolean): ThemeConfig {
  const isStill = useSystemWish('(prefers-reduced-motion: reduce)');
  return useMemo(() => {
    const base = isDark ? DARK : LIGHT;
    return { ...base, token: { ...base.token, motion: !isStill } };
  }, [isDark, isStill]);
}

interface Props {
  readonly locale: Locale;
  readonly children: ReactNode;
}

export function ThemeProvider({ locale, children }: Props) {
  const [mode, setMode] = useState<Mode>(
    () => MODES.find((one) => one === kept('theme')) ?? 'system',
  );
  const systemIsDark = useSystemWish('(prefers-color-scheme: dark)');
  const isDark = mode === 'system' ? systemIsDark : mode === 'dark';
  const antdTheme = useAntdTheme(isDark);
  useEffect(() => {
    document.documentElement.dataset['theme'] = isDark ? 'dark' : 'light';
  }, [isDark]);
  const choice = useMemo(
    () => ({
      mode,
      isDark,
      choose: (one: Mode) => {
        keep('theme', one);
        setMode(one);
      },
    }),
    [mode, isDark],
  );
  return (
    <ThemeContext value={choice}>
      <ConfigProvider
        theme={antdTheme}
        locale={locale}
        csp={{ nonce: facts.nonce }}
        wave={{ disabled: true }}
        button={{ autoInsertSpace: false }}
      >
        <App component={false}>{children}</App>
      </ConfigProvider>
    </ThemeContext>
  );
}
