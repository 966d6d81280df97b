import { ApartmentOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'routes',
  title: { en: 'Routes', 'zh-CN': '路由', 'zh-TW': '路由' },
  icon: ApartmentOutlined,
  group: 'traffic',
  order: 70,
  need: 'read',
  load: () => import('./Routes'),
});
