package org.apache.iceberg.rest;

import java.net.InetSocketAddress;
import java.util.HashMap;
import java.util.Map;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;
import org.apache.iceberg.CatalogUtil;
import org.apache.iceberg.catalog.Catalog;
import org.apache.hadoop.conf.Configuration;

/**
 * Iceberg's own REST catalog, the one of its compatibility kit, on loopback:
 * its own main listens on all addresses. Arguments: the port, the name of the
 * catalog behind it, and that one's properties as KEY=VALUE.
 */
public class IcebergCatalog {
  public static void main(String[] args) throws Exception {
    Map<String, String> config = new HashMap<>();
    for (int i = 2; i < args.length; i++) {
      String[] kv = args[i].split("=", 2);
      config.put(kv[0], kv[1]);
    }
    Catalog catalog = CatalogUtil.buildIcebergCatalog(args[1], config, new Configuration());
    var context = new RESTCatalogServer.CatalogContext(catalog, config);
    var handler = new ServletContextHandler();
    handler.addServlet(new ServletHolder(new RESTCatalogServlet(new RESTServerCatalogAdapter(context))), "/*");
    Server server = new Server(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])));
    server.setHandler(handler);
    server.start();
    server.join();
  }
}
